"""The first endpoint that answers: the next is tried until the first byte has come, never after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from responses_api import metrics
from responses_api.backends.client import Call
from responses_api.backends.fleet import Fleet
from responses_api.backends.registry import Endpoint
from responses_api.errors import ApiError, BackendError, RateLimited

log = structlog.get_logger(__name__)

Open = Callable[[Endpoint], Awaitable[Call]]
"""Asks one endpoint. Raises `ApiError`."""


async def open_first(fleet: Fleet, model: str, candidates: Sequence[Endpoint], open_at: Open, request_id: str) -> Call:
    """The begun answer of the first of `candidates` that gives one. Raises what the last of them raised."""
    if len(candidates) == 1:
        # There is nobody else: it is asked whatever is thought of it, and its answer tells.
        fleet.allows(candidates[0])
        return await open_at(candidates[0])
    error: ApiError | None = None
    for endpoint in candidates:
        if not fleet.allows(endpoint):
            continue
        if error is not None:
            metrics.FAILOVERS.labels(endpoint.name).inc()
        try:
            return await open_at(endpoint)
        except ApiError as reason:
            if not is_worth_another(reason):
                raise
            error = reason
            log.info("backend_failed", request_id=request_id, backend=endpoint.name, reason=reason.message)
    raise error or fleet.refusal(model)


def is_worth_another(error: ApiError) -> bool:
    """Might another endpoint answer what this one did not?"""
    return isinstance(error, BackendError | RateLimited) or error.code in ("model_not_found", "unsupported_tool")
