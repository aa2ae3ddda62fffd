"""When to stop asking something that does not answer. Pure; the clock is passed in."""

from __future__ import annotations

from enum import StrEnum

_WINDOW = 40
"""Calls, about: past it older ones count half."""
_FEWEST = 20
"""Calls that a share is taken of."""


class BreakerState(StrEnum):
    """`HALF_OPEN`: one may try, and its outcome decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Closed until `failures` in a row, or a share of failures among the latest calls; then open for `pause` seconds.

    Each trial that fails doubles the pause, up to `max_pause`.
    """

    __slots__ = (
        "_calls",
        "_error_share",
        "_failed_calls",
        "_failures",
        "_is_open",
        "_max_failures",
        "_max_pause",
        "_next_pause",
        "_pause",
        "_trying",
        "open_until",
    )

    def __init__(self, failures: int, pause: float, max_pause: float = 0.0, error_share: float = 1.0) -> None:
        self._max_failures = failures
        self._pause = self._next_pause = pause
        self._max_pause = max(pause, max_pause)
        self._error_share = error_share
        self._failures = 0
        self._calls = 0
        self._failed_calls = 0
        self._is_open = False
        self._trying = False
        self.open_until = 0.0

    def state(self, now: float) -> BreakerState:
        if not self._is_open:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self.open_until else BreakerState.HALF_OPEN

    def would_allow(self, now: float) -> bool:
        """May it be asked? `allows` without claiming the trial."""
        return not self._is_open or (now >= self.open_until and not self._trying)

    def allows(self, now: float) -> bool:
        """May it be asked? While half open only the first is told so."""
        if not self._is_open:
            return True
        if now < self.open_until or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """It answered. The trial's answer closes it; what was asked before it opened says nothing."""
        if self._is_open:
            if not self._trying:
                return
            self.close()
        self._failures = 0
        self._calls += 1
        if self._calls >= _WINDOW:
            self._calls //= 2
            self._failed_calls //= 2

    def failed(self, now: float) -> bool:
        """Has that opened it, or kept it open?"""
        self._failures += 1
        self._calls += 1
        self._failed_calls += 1
        is_failing = self._failures >= self._max_failures
        if self._calls >= _FEWEST and self._failed_calls >= self._error_share * self._calls:
            is_failing = True
        if self._is_open and now < self.open_until:
            return False  # one that was asked before it opened
        if is_failing or self._is_open:
            self.open_for(self._next_pause, now)
            self._next_pause = min(2 * self._next_pause, self._max_pause)
            return True
        return False

    def withdrawn(self) -> None:
        """Whoever was to try left before it knew."""
        self._trying = False

    def open_for(self, seconds: float, now: float) -> None:
        """Opens it, or keeps it open for longer."""
        self._is_open, self._trying = True, False
        self.open_until = max(self.open_until, now + seconds)

    def close(self) -> None:
        """As if nothing had ever failed."""
        self._is_open = self._trying = False
        self._failures = self._calls = self._failed_calls = 0
        self._next_pause = self._pause
        self.open_until = 0.0
