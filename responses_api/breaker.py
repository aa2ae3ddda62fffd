"""When to stop asking something that does not answer. Pure; the clock is passed in."""

from __future__ import annotations


class Breaker:
    """Closed until `failures` in a row; then open for `pause` seconds; then one may try, and its outcome decides."""

    __slots__ = ("_failures", "_max_failures", "_open_until", "_pause", "_trying")

    def __init__(self, failures: int, pause: float) -> None:
        self._max_failures = failures
        self._pause = pause
        self._failures = 0
        self._open_until = 0.0
        self._trying = False

    def allows(self, now: float) -> bool:
        """May it be asked? While half open only the first is told so."""
        if self._failures < self._max_failures:
            return True
        if now < self._open_until or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        self._failures, self._trying = 0, False

    def failed(self, now: float) -> None:
        self._failures += 1
        self._trying = False
        if self._failures >= self._max_failures:
            self._open_until = now + self._pause

    def withdrawn(self) -> None:
        """Whoever was to try left before it knew."""
        self._trying = False
