"""Notices clients that leave before their answer.

Watching one client is a task, and tasks cost 15 µs; most replies are out long before anyone could leave. So nobody is
watched at first, and one timer serves all who wait longer.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

ROUND_SECONDS = 0.05


class Watchable(Protocol):
    """A request in progress."""

    is_finished: bool

    def start_watching(self) -> None: ...


class Watchman:
    """Calls `start_watching` on requests still unfinished after one to two rounds. One per event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._new: list[Watchable] = []
        self._old: list[Watchable] = []
        self._is_armed = False

    def expect(self, request: Watchable) -> None:
        self._new.append(request)
        if not self._is_armed:
            self._arm()

    def _arm(self) -> None:
        self._is_armed = True
        self._loop.call_later(ROUND_SECONDS, self._look)

    def _look(self) -> None:
        for request in self._old:
            if not request.is_finished:
                request.start_watching()
        self._old, self._new = self._new, []
        self._is_armed = False
        if self._old:
            self._arm()
