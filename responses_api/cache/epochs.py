"""What has been purged, as every process must know it.

A purge raises counters in Redis. A process goes by what it knows of them for `LEASE_SECONDS` at most, and a purge
returns no sooner than that: once it has returned, no process answers from what it purged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from responses_api.cache.layout import epochs_key, generation_key
from responses_api.redis.pool import RedisPool

LEASE_SECONDS = 0.5
"""Long enough for an event loop that has all hands full."""
REFRESH_SECONDS = 0.1
KNOWN_PROJECTS = 10_000
TRIES = 4
"""A purge in between makes one more necessary."""


class Epochs:
    """One per event loop. `on_purge` is called when anything has been purged anywhere."""

    def __init__(self, pool: RedisPool, prefix: str, on_purge: Callable[[], None]) -> None:
        self._pool = pool
        self._prefix = prefix
        self._on_purge = on_purge
        self.generation = -1
        """How many purges there had been when Redis was last asked."""
        self._asked_at = 0.0
        self._known: dict[str, Mapping[str, int]] = {}
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def holds(self) -> bool:
        """May what is known still be gone by?"""
        return self.generation >= 0 and time.monotonic() - self._asked_at < LEASE_SECONDS

    def known(self, project: str) -> Mapping[str, int] | None:
        """The project's counters, where they are known and hold; asks anew in good time."""
        age = time.monotonic() - self._asked_at
        if age > REFRESH_SECONDS and self._refreshing is None:
            self._start()
        return self._known.get(project) if self.holds else None

    async def of(self, project: str) -> Mapping[str, int]:
        """The project's counters.

        Raises what Redis raises, and `TimeoutError` where it is so slow that its answer holds no longer.
        """
        for _ in range(TRIES):
            if (counters := self.known(project)) is not None:
                return counters
            if not self.holds:
                await asyncio.shield(self._refreshing or self._start())
            if self.holds and project not in self._known:
                await self._read(project)
        raise TimeoutError("what has been purged could not be learnt in time")

    def _start(self) -> asyncio.Task[None]:
        task = self._refreshing = asyncio.ensure_future(self._refresh())
        task.add_done_callback(_heard)
        return task

    async def _refresh(self) -> None:
        try:
            asked_at = time.monotonic()
            generation = int(await self._pool.execute("GET", generation_key(self._prefix)) or 0)
            if generation != self.generation:
                self.generation = generation
                self._known.clear()
                self._on_purge()
            self._asked_at = asked_at
        finally:
            # Not by a callback: who asks before that has run would wait for a task that is over, and not let go.
            self._refreshing = None

    async def _read(self, project: str) -> None:
        generation = self.generation
        counters = _to_counters(await self._pool.execute("HGETALL", epochs_key(self._prefix, project)))
        if generation == self.generation:
            if len(self._known) >= KNOWN_PROJECTS:
                self._known.clear()
            self._known[project] = counters


async def purge(pool: RedisPool, prefix: str, project: str, names: Sequence[str]) -> None:
    """Makes every entry that one of the counters concerns unusable, everywhere, by the time this returns."""
    raised: list[Any] = [pool.execute("HINCRBY", epochs_key(prefix, project), name, 1) for name in names]
    for reply in raised:
        await reply
    await pool.execute("INCR", generation_key(prefix))
    await asyncio.sleep(LEASE_SECONDS)


def _heard(task: asyncio.Task[None]) -> None:
    """Whoever waits for it hears of its failure; nobody may."""
    if not task.cancelled():
        task.exception()


def _to_counters(reply: Any) -> Mapping[str, int]:
    if isinstance(reply, Mapping):
        return {name.decode(): int(value) for name, value in reply.items()}
    return {name.decode(): int(value) for name, value in zip(reply[::2], reply[1::2], strict=True)}
