"""A backend's error answer → the error its client sees. Pure.

What the client can mend (a 400, an unknown model) keeps the backend's words; what only the operator can mend (wrong
credentials, a crash) says which backend it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from responses_api.errors import (
    ApiError,
    BackendError,
    BackendUnavailable,
    InvalidRequest,
    RateLimited,
)

_MENDABLE = (400, 404, 405, 409, 413, 415, 422)


def from_status(backend: str, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error for an answer with a status other than 200."""
    error = _error_object(body)
    message = error.get("message")
    code = error.get("code") if isinstance(error.get("code"), str) else None
    told = _message(message, backend, status, headers.get("content-type", ""), body)
    if status == 429:
        return RateLimited(told, code=code, headers=_retry_headers(headers))
    if status in (401, 403):
        return BackendError(
            f"Backend '{backend}' refused the gateway's credentials (HTTP {status}).",
            code="backend_unauthorized",
        )
    if status in _MENDABLE:
        if _is_unknown_model(status, code, message):
            code = "model_not_found"
        return InvalidRequest(told, code=code, param=_param(error, code))
    if status == 503:
        return BackendUnavailable(told, headers=_retry_headers(headers))
    return BackendError(told)


def not_json(backend: str, status: int, content_type: str, body: bytes) -> ApiError:
    """The error for a 200 that is not what was asked for: an HTML page, or an error object under a good status."""
    error = _error_object(body)
    return BackendError(_message(error.get("message"), backend, status, content_type, body))


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    if not isinstance(answer, dict):
        return {}
    error = answer.get("error", answer)
    if isinstance(error, str):
        return {"message": error}
    if isinstance(error, dict):
        return {"message": error.get("detail"), **error}
    return {}


def _message(message: Any, backend: str, status: int, content_type: str, body: bytes) -> str:
    if isinstance(message, str) and message:
        return message[:1000]
    kind = content_type.partition(";")[0] or "unnamed content"
    return f"Backend '{backend}' answered HTTP {status} with {len(body)} bytes of {kind} instead of a completion."


def _is_unknown_model(status: int, code: str | None, message: Any) -> bool:
    # vLLM: 404 "The model `x` does not exist."; Ollama: 404 'model "x" not found, try pulling it first'.
    return code == "model_not_found" or (status == 404 and isinstance(message, str) and "model" in message.lower())


def _param(error: dict[str, Any], code: str | None) -> str | None:
    if code == "model_not_found":
        return "model"
    if code == "context_length_exceeded":
        return "input"
    param = error.get("param")
    return param if isinstance(param, str) else None


def _retry_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    names = ("retry-after", "retry-after-ms")
    return [(name, headers[name]) for name in names if name in headers and headers[name].isascii()]
