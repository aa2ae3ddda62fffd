"""The first endpoint that answers. Another is tried until its client has been sent something, never after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from responses_api import metrics
from responses_api.backends.fleet import Fleet
from responses_api.backends.registry import Endpoint
from responses_api.errors import ApiError, BackendError, RateLimited

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def first_answer(
    fleet: Fleet,
    model: str,
    candidates: Sequence[Endpoint],
    ask: Callable[[Endpoint], Awaitable[T]],
    request_id: str,
) -> T:
    """What the first of `candidates` gives that gives anything. Raises what the last of them raised.

    `ask` asks one endpoint, and raises `ApiError`.
    """
    if len(candidates) == 1:
        # There is nobody else: it is asked whatever is thought of it, and its answer tells.
        fleet.allows(candidates[0])
        return await ask(candidates[0])
    error: ApiError | None = None
    tries, left = 0, list(candidates)
    # A trial has the one that would have been first right behind it.
    given = 2 if fleet.is_spared(left[0]) else 1
    while left and tries < fleet.rules.max_tries:
        endpoint = left[0] if tries < given else fleet.draw(left)
        left.remove(endpoint)
        if fleet.allows(endpoint):
            tries += 1
            if error is not None:
                metrics.FAILOVERS.labels(endpoint.name).inc()
            try:
                return await ask(endpoint)
            except ApiError as reason:
                if not is_worth_another(reason):
                    raise
                error = reason
                log.info("backend_failed", request_id=request_id, backend=endpoint.name, reason=reason.message)
    raise error or fleet.refusal(model)


def is_worth_another(error: ApiError) -> bool:
    """Might another endpoint answer what this one did not?"""
    return isinstance(error, BackendError | RateLimited) or error.code in ("model_not_found", "unsupported_tool")
