"""How long a call may take: one clock for all calls of one kind in an event loop, looked at four times a second.

A timer of its own for each call, let alone for each token, costs more than the rest of a call's bookkeeping; timeouts
here are seconds.
"""

from __future__ import annotations

import asyncio
from math import inf

LOOK_SECONDS = 0.25


class Wait:
    """One call's deadline. When it passes, the call's task is cancelled and `expired` is True."""

    __slots__ = ("_loop", "_task", "deadline", "expired")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._task = asyncio.current_task(loop)
        self.deadline = loop.time() + seconds
        self.expired = False

    def extend(self, seconds: float) -> None:
        """`seconds` from now."""
        self.deadline = self._loop.time() + seconds

    def pause(self) -> None:
        """While the caller is busy elsewhere (its own client reads slowly), nobody is late."""
        self.deadline = inf

    def expire(self) -> None:
        self.expired = True
        if self._task is not None:
            self._task.cancel()

    def was_timeout(self) -> bool:
        """In an `except CancelledError`: was it ours? Then it is withdrawn, and the caller raises what it means."""
        if self.expired and self._task is not None:
            self._task.uncancel()
        return self.expired


class Patience:
    """The waits in progress."""

    def __init__(self, loop: asyncio.AbstractEventLoop, look_seconds: float = LOOK_SECONDS) -> None:
        self._loop = loop
        self._look_seconds = look_seconds
        self._waits: set[Wait] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> Wait:
        wait = Wait(self._loop, seconds)
        self._waits.add(wait)
        if self._timer is None:
            self._timer = self._loop.call_later(self._look_seconds, self._look)
        return wait

    def end(self, wait: Wait) -> None:
        self._waits.discard(wait)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        for wait in [wait for wait in self._waits if wait.deadline <= now]:
            self._waits.discard(wait)
            wait.expire()
        self._timer = self._loop.call_later(self._look_seconds, self._look) if self._waits else None
