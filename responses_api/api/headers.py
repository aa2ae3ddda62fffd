"""What every answer tells of how it came about."""

from __future__ import annotations

from time import perf_counter

from responses_api.passthrough import Passage
from responses_api.run import Run

Told = list[tuple[bytes, bytes]]


def backend_headers(told: Run | Passage) -> Told:
    """The endpoint, how many were tried, and the milliseconds that were not spent waiting for one."""
    now = perf_counter()
    waited = (told.answered_at or now) - told.called_at if told.called_at else 0.0
    return _headers(told.endpoint.name, told.tries, now - told.context.received - waited)


def remembered_headers(backend: str, received: float) -> Told:
    """The same for an answer from memory: who gave it once; `received` as in `RequestContext`."""
    return _headers(backend, 0, perf_counter() - received)


def _headers(backend: str, tries: int, overhead_seconds: float) -> Told:
    return [
        (b"x-router-backend", backend.encode("latin-1", "replace")),
        (b"x-router-tries", b"%d" % tries),
        (b"x-router-overhead-ms", b"%.2f" % (overhead_seconds * 1000)),
    ]
