"""What every answer tells of how it came about."""

from __future__ import annotations

from time import perf_counter

from responses_api.passthrough import Passage
from responses_api.run import Run


def backend_headers(told: Run | Passage) -> list[tuple[bytes, bytes]]:
    """The endpoint, how many were tried, and the milliseconds that were not spent waiting for one."""
    now = perf_counter()
    waited = (told.answered_at or now) - told.called_at if told.called_at else 0.0
    return [
        (b"x-router-backend", told.endpoint.name.encode("latin-1", "replace")),
        (b"x-router-tries", b"%d" % told.tries),
        (b"x-router-overhead-ms", b"%.2f" % ((now - told.context.received - waited) * 1000)),
    ]
