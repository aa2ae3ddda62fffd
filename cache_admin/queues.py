"""The workers' queues: how many tasks wait in each, and for how long the oldest has."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

from cache_admin import sources
from responses_api.index_entry import stream_key
from responses_api.stores.layout import background_key

_TIMEOUT_SECONDS = 1


class BrokerAway(Exception):
    """The broker does not answer; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Queue:
    """`oldest_seconds` None: nothing waits, or the broker does not tell."""

    name: str
    depth: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in Redis beside the queues: index entries, and runs that are not over."""

    index_entries: int
    index_oldest_seconds: float | None
    unfinished_runs: int


def queues() -> list[Queue]:
    """Raises `BrokerAway`."""
    try:
        with current_app.connection_or_acquire() as connection:
            connection.ensure_connection(max_retries=1, timeout=_TIMEOUT_SECONDS)
            channel = connection.default_channel
            return [
                Queue(queue.name, _depth(channel, queue.name), _oldest(channel, queue.name))
                for queue in current_app.conf.task_queues
            ]
    except (OperationalError, OSError) as error:
        raise BrokerAway(str(error)) from error


def _depth(channel: Any, name: str) -> int:
    if hasattr(channel, "_size"):
        # kombu's Redis has no declared queues to ask; this is what it answers their depth with.
        return int(channel._size(name))  # noqa: SLF001
    with suppress(channel.connection.channel_errors):
        return int(channel.queue_declare(name, passive=True).message_count)
    return 0


def _oldest(channel: Any, name: str) -> float | None:
    """By what each message says of when it was put there; only Redis lets one look."""
    if not hasattr(channel, "priority_steps"):
        return None
    ages = []
    for step in channel.priority_steps:
        key = f"{channel.global_keyprefix}{name}{f'{channel.sep}{step}' if step else ''}"
        oldest = channel.client.execute_command("LINDEX", key, -1)
        queued_at = json.loads(oldest)["headers"].get("queued_at") if oldest else None
        if queued_at is not None:
            ages.append(max(0.0, time.time() - float(queued_at)))
    return max(ages, default=None)


def backlog() -> Backlog:
    """Raises what Redis raises."""
    client, prefix = sources.redis(), sources.prefix()
    oldest = client.xrange(stream_key(prefix), count=1)
    age = max(0.0, time.time() - int(oldest[0][0].partition(b"-")[0]) / 1000) if oldest else None
    return Backlog(int(client.xlen(stream_key(prefix))), age, int(client.zcard(background_key(prefix))))
