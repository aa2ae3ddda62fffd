"""How long a call may take: one clock for all calls of one kind in an event loop, looked at four times a second.

A timer of its own for each call, let alone for each token, costs more than the rest of a call's bookkeeping; timeouts
here are seconds.

While the event loop is too busy to look in time, whoever is waited for may have answered long ago: such time counts
for little.
"""

from __future__ import annotations

import asyncio
from math import inf

LOOK_SECONDS = 0.25
_LEAST_COUNTED = 0.125
"""Of the time between two looks, however late the second is."""
_PUNCTUAL = 0.25
"""Of the same: a timer that is no later than this says nothing of the loop."""


class Wait:
    """One call's deadline. When it passes, the call's task is cancelled and `expired` is True."""

    __slots__ = ("_patience", "_task", "deadline", "expired")

    def __init__(self, patience: Patience, task: asyncio.Task[object] | None, seconds: float) -> None:
        self._patience = patience
        self._task = task
        self.deadline = patience.time() + seconds
        self.expired = False

    def extend(self, seconds: float) -> None:
        """`seconds` from now."""
        self.deadline = self._patience.time() + seconds

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
        self._due = 0.0
        """When the timer is to fire."""
        self._lost = 0.0
        """Seconds that do not count."""

    def time(self) -> float:
        """The loop's clock without the time that it lost."""
        return self._loop.time() - self._lost

    def begin(self, seconds: float) -> Wait:
        wait = Wait(self, asyncio.current_task(self._loop), seconds)
        self._waits.add(wait)
        if self._timer is None:
            self._look_later()
        return wait

    def end(self, wait: Wait) -> None:
        self._waits.discard(wait)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look_later(self) -> None:
        self._due = self._loop.time() + self._look_seconds
        self._timer = self._loop.call_later(self._look_seconds, self._look)

    def _look(self) -> None:
        late = self._loop.time() - self._due
        if late > self._look_seconds * _PUNCTUAL:
            # Of this look's time what the loop was late; but a part counts, or nobody would ever be late.
            self._lost += late + min(late, self._look_seconds * (1 - _LEAST_COUNTED))
        now = self.time()
        for wait in [wait for wait in self._waits if wait.deadline <= now]:
            self._waits.discard(wait)
            wait.expire()
        self._timer = None
        if self._waits:
            self._look_later()
