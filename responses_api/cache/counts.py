"""What the cache saved, by project, model and day; and when entries were last used.

Gathered in the process and written to Redis once a second: a process that dies takes a second of it along.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from responses_api import metrics
from responses_api.cache.entry import Entry
from responses_api.cache.layout import bytes_key, hits_key, stats_key, total_key, used_key
from responses_api.cache.policy import Verdict
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool

FLUSH_SECONDS = 1.0
KEPT_SECONDS = 400 * 86_400
SAVED = ("saved_input_tokens", "saved_output_tokens", "saved_milliseconds")
FIELDS = (*(each.value for each in Verdict), *SAVED)
_SEPARATOR = "\x00"


@dataclass(slots=True)
class Day:
    """One model's day."""

    date: str
    model: str
    counts: dict[str, int] = field(default_factory=dict)


class Counts:
    """One per event loop."""

    def __init__(self, pool: RedisPool, prefix: str) -> None:
        self._pool = pool
        self._prefix = prefix
        self._counted: Counter[tuple[str, str, str]] = Counter()
        self._used: dict[str, dict[str, float]] = {}
        self._hits: Counter[tuple[str, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def note(self, project: str, model: str, verdict: str, entry: Entry | None) -> None:
        """One request; `entry` is what answered it."""
        counted = self._counted
        counted[project, model, verdict] += 1
        if entry is not None:
            recording = entry.recording
            counted[project, model, "saved_input_tokens"] += recording.input_tokens
            counted[project, model, "saved_output_tokens"] += recording.output_tokens
            counted[project, model, "saved_milliseconds"] += int(recording.seconds * 1000)
            self._used.setdefault(project, {})[entry.digest] = time.time()
            self._hits[project, entry.digest] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Hands what was gathered to Redis."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted, self._counted = self._counted, Counter()
        used, self._used = self._used, {}
        hits, self._hits = self._hits, Counter()
        day = datetime.now(UTC).date().isoformat()
        sent = [
            self._pool.execute("HINCRBY", stats_key(self._prefix, project, day), f"{model}{_SEPARATOR}{name}", number)
            for (project, model, name), number in counted.items()
            if number
        ]
        sent += [
            self._pool.execute("EXPIRE", stats_key(self._prefix, project, day), KEPT_SECONDS)
            for project in {project for project, _, _ in counted}
        ]
        for project, when in used.items():
            scores = [each for digest, at in when.items() for each in (at, digest)]
            # XX: what has been struck out of the books meanwhile stays out.
            sent.append(self._pool.execute("ZADD", used_key(self._prefix, project), "XX", *scores))
        sent += [
            self._pool.execute("ZADD", hits_key(self._prefix, project), "XX", "INCR", number, digest)
            for (project, digest), number in hits.items()
        ]
        for reply in sent:
            reply.add_done_callback(_count_lost)

    async def read(self, project: str, days: int) -> list[Day]:
        """The last `days`, newest first, today included. Raises what Redis raises."""
        self.flush()
        today = datetime.now(UTC).date()
        dates = [(today - timedelta(days=back)).isoformat() for back in range(days)]
        replies = [self._pool.execute("HGETALL", stats_key(self._prefix, project, date)) for date in dates]
        return [day for date, reply in zip(dates, replies, strict=True) for day in _days(date, await reply)]

    async def sizes(self, project: str) -> tuple[int, int]:
        """How many entries the project has, and their bytes. Raises what Redis raises."""
        number = self._pool.execute("ZCARD", bytes_key(self._prefix, project))
        total = self._pool.execute("GET", total_key(self._prefix, project))
        return int(await number), int(await total or 0)


def _days(date: str, reply: Any) -> list[Day]:
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    by_model: dict[str, Day] = {}
    for name, value in pairs:
        model, _, counter = name.decode().rpartition(_SEPARATOR)
        by_model.setdefault(model, Day(date, model)).counts[counter] = int(value)
    return [by_model[model] for model in sorted(by_model)]


def _count_lost(reply: asyncio.Future[Any]) -> None:
    if reply.cancelled() or isinstance(reply.exception(), CONNECTION_ERRORS):
        metrics.CACHE_FAULTS.labels("counts").inc()
