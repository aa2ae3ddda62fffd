"""Whether and when a part that died is started again; pure."""

from __future__ import annotations

from collections.abc import Sequence

MAX_DEATHS = 5
WINDOW_SECONDS = 60.0

_DELAYS_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)


def restart_delay(deaths: Sequence[float], now: float) -> float | None:
    """Seconds to wait, or None: it dies too often.

    `deaths` are the times of its deaths in seconds, the last one among them. The first in a minute is answered at
    once, further ones ever later, so that a part that cannot run does not keep the machine busy.
    """
    recent = sum(1 for death in deaths if now - death < WINDOW_SECONDS)
    return _DELAYS_SECONDS[recent - 1] if recent <= MAX_DEATHS else None
