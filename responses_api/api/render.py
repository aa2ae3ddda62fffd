"""Exception → OpenAI-shaped error; events → frames."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import structlog
from rest_framework.exceptions import APIException

from responses_api import sse
from responses_api.api.http import Reply
from responses_api.errors import ApiError
from responses_api.stores.redis_runs import LoggedEvent

log = structlog.get_logger(__name__)


def error_reply(error: Exception, request_id: str) -> Reply:
    """What the client is told, with its status and headers."""
    told = to_api_error(error, request_id)
    extra = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in told.headers]
    return Reply(told.body(), told.status, extra_headers=extra)


def to_api_error(error: Exception, request_id: str) -> ApiError:
    """An error nobody foresaw is a 500 that names the request, and is logged whole."""
    if isinstance(error, APIException):
        return _from_drf(error)
    if isinstance(error, ApiError):
        return error
    log.error("unhandled_error", request_id=request_id, exc_info=error)
    return ApiError(
        f"The gateway failed on this request. Its log has the reason under {request_id}.", code="internal_error"
    )


def _from_drf(error: APIException) -> ApiError:
    told = ApiError(str(error.detail), code=str(error.get_codes()))
    told.status = error.status_code
    told.type = "server_error" if error.status_code >= 500 else "invalid_request_error"
    return told


async def logged_frames(batches: AsyncIterator[list[LoggedEvent]]) -> AsyncIterator[bytes]:
    """Events out of a log as frames, `[DONE]` last."""
    async with aclosing(batches):  # type: ignore[type-var]
        async for batch in batches:
            yield b"".join([sse.frame(kind, data) for _, kind, data in batch])
    yield sse.DONE_FRAME
