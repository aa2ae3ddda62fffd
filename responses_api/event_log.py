"""A run's events, in the order they were told: written by the one who makes them, read by anyone, live or later.

The log is a Redis Stream whose ids are the events' numbers, so that "what came after N" is one range read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

from responses_api.errors import InvalidRequest, StoreUnavailable
from responses_api.shapes.events import TERMINAL_TYPES, AnyEvent, encode, type_of
from responses_api.stores.redis_runs import LoggedEvent, RedisRuns

T = TypeVar("T")

READ_COUNT = 500
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.25
OUTAGE_SECONDS = 60.0
"""How long writers and readers wait for a store that is away."""

_TERMINAL = frozenset(kind.encode() for kind in TERMINAL_TYPES)


class LostRunError(Exception):
    """The run is not ours any more: it was cancelled, deleted, or given to another worker."""


async def patiently(operation: Callable[[], Awaitable[T]]) -> T:
    """`operation`, again and again while the store is away, up to `OUTAGE_SECONDS`. Raises `StoreUnavailable`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + OUTAGE_SECONDS
    while True:
        try:
            return await operation()
        except StoreUnavailable:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(LONGEST_PAUSE_SECONDS)


def to_logged(event: AnyEvent) -> LoggedEvent:
    return event.sequence_number, type_of(event).encode(), encode(event)


class LogWriter:
    """Appends events without making their source wait: what comes while a write is under way goes with the next."""

    def __init__(self, runs: RedisRuns, response_id: str, token: str) -> None:
        self._runs = runs
        self._response_id = response_id
        self._token = token
        self._waiting: list[LoggedEvent] = []
        self._has_spoken = False
        self._writing: asyncio.Task[None] | None = None

    def add(self, events: Iterable[AnyEvent], *, has_spoken: bool) -> None:
        """Raises `LostRunError` where an earlier write found that the run is not ours."""
        self._waiting += map(to_logged, events)
        self._has_spoken = self._has_spoken or has_spoken
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        if self._writing is None and self._waiting:
            self._writing = asyncio.ensure_future(self._write())

    async def drain(self) -> None:
        """Returns when all is written. Raises `LostRunError`, and `StoreUnavailable` after a long outage."""
        while self._writing is not None:
            writing, self._writing = self._writing, None
            await writing
            self.add((), has_spoken=False)

    def abandon(self) -> None:
        if self._writing is not None:
            self._writing.cancel()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            if not await patiently(partial(self._log, batch)):
                raise LostRunError

    async def _log(self, batch: list[LoggedEvent]) -> bool:
        return await self._runs.log(self._response_id, self._token, batch, has_spoken=self._has_spoken)


async def follow(runs: RedisRuns, response_id: str, after: int) -> AsyncIterator[list[LoggedEvent]]:
    """The events behind number `after`, those there at once and those to come as they come, until the run's end.

    Raises `InvalidRequest` where they are not kept any more, `StoreUnavailable` after a long outage.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        events, is_open = await patiently(partial(runs.read_log, response_id, after, READ_COUNT))
        if events and events[0][0] != after + 1:
            raise events_gone(response_id)
        if events:
            yield events
            after, pause = events[-1][0], FIRST_PAUSE_SECONDS
            if events[-1][1] in _TERMINAL:
                return
        elif not is_open:
            return
        else:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def told(runs: RedisRuns, response_id: str, until: int) -> list[bytes] | None:
    """The JSON of all events before number `until`; None where they are not all kept."""
    found: list[LoggedEvent] = []
    while len(found) < until:
        batch, _ = await patiently(partial(runs.read_log, response_id, len(found) - 1, READ_COUNT))
        if not batch or batch[0][0] != len(found):
            return None
        found += batch
    return [data for _, _, data in found[:until]]


def events_gone(response_id: str) -> InvalidRequest:
    return InvalidRequest(
        f"The events of response '{response_id}' are not kept any more. Retrieve it without 'stream'.",
        code="events_expired",
        param="stream",
    )
