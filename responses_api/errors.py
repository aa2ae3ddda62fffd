"""Every error a client can be told: HTTP status, OpenAI type, code and param, and the one way to spell its body.

Messages follow what the live API answers, where that is known, since clients match on them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_encoder = msgspec.json.Encoder()


def _short(told: str) -> str:
    """What a client sent, as far as it helps to see it again."""
    return told if len(told) <= 100 else f"{told[:100]}…"


class ApiError(Exception):
    """Ends a request with `status` and a body of `{"error": {message, type, param, code}}`; `headers` go along."""

    status = 500
    type = "server_error"
    code: str | None = None
    """What the class stands for, where its instances do not say otherwise."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param
        self.headers = tuple(headers)

    def body(self) -> bytes:
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return _encoder.encode({"error": error})


class InvalidRequest(ApiError):
    """The request cannot be served as it is; the message names what to change."""

    status = 400
    type = "invalid_request_error"


class MissingParameter(InvalidRequest):
    def __init__(self, param: str) -> None:
        super().__init__(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)


class UnsupportedParameter(InvalidRequest):
    def __init__(self, message: str, param: str) -> None:
        super().__init__(message, code="unsupported_parameter", param=param)


class PreviousResponseNotFound(InvalidRequest):
    """Also the answer for another project's response: its existence is nobody else's business."""

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id '{_short(response_id)}' not found.",
            code="previous_response_not_found",
            param="previous_response_id",
        )


class InvalidChain(InvalidRequest):
    """Stored links that cannot be a conversation: a cycle, a stranger's response, or too many of them."""

    def __init__(self, response_id: str, reason: str) -> None:
        super().__init__(
            f"The conversation behind response '{response_id}' was refused: {reason}.",
            code="invalid_chain",
            param="previous_response_id",
        )


class ConversationLocked(InvalidRequest):
    """Somebody else is adding to it just now."""

    def __init__(self) -> None:
        super().__init__(
            "Another process is currently operating on this conversation. Please retry in a few seconds.",
            code="conversation_locked",
            param="conversation",
            headers=[("retry-after", "1")],
        )


class ModelNotFound(InvalidRequest):
    def __init__(self, model: str) -> None:
        super().__init__(f"The requested model '{model}' does not exist.", code="model_not_found", param="model")


class Unauthorized(ApiError):
    status = 401
    type = "invalid_request_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, code="invalid_api_key", headers=[("www-authenticate", "Bearer")])


class NotFound(ApiError):
    status = 404
    type = "invalid_request_error"


class ResponseNotFound(NotFound):
    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id '{_short(response_id)}' not found.")


class ConversationNotFound(NotFound):
    def __init__(self, conversation_id: str) -> None:
        super().__init__(f"Conversation with id '{_short(conversation_id)}' not found.")


class ItemNotFound(NotFound):
    """An item that is nowhere, or another project's."""

    @classmethod
    def in_conversation(cls, item_id: str) -> ItemNotFound:
        return cls(f"Item with id '{_short(item_id)}' not found in conversation.")

    @classmethod
    def referenced(cls, item_id: str) -> ItemNotFound:
        return cls(
            f"Item with id '{_short(item_id)}' not found. Items are not persisted when `store` is set to false. "
            "Try again with `store` set to true, or remove this item from your input.",
            param="input",
        )


class CacheEntryNotFound(NotFound):
    def __init__(self, entry_id: str) -> None:
        super().__init__(f"Cache entry with id '{_short(entry_id)}' not found.")


class MethodNotAllowed(ApiError):
    status = 405
    type = "invalid_request_error"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"Method {method} is not allowed here. Use {' or '.join(allowed)}.",
            code="method_not_allowed",
            headers=[("allow", ", ".join(allowed))],
        )


class PayloadTooLarge(ApiError):
    status = 413
    type = "invalid_request_error"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            f"The request body is larger than {max_bytes} bytes. Send less, or raise max_body_bytes.",
            code="request_too_large",
            # The rest of the body is still on its way: this connection cannot carry another request.
            headers=[("connection", "close")],
        )


class UnsupportedMediaType(ApiError):
    status = 415
    type = "invalid_request_error"

    def __init__(self, content_type: str) -> None:
        got = f"'{content_type}'" if content_type else "no content type"
        super().__init__(
            f"Send the request as 'content-type: application/json' (got {got}).",
            code="unsupported_media_type",
        )


class RateLimited(ApiError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class Overloaded(ApiError):
    """The gateway has as much to do as it is to take on; what it took on is finished."""

    status = 503

    def __init__(self, in_flight: int) -> None:
        super().__init__(
            f"The gateway is serving {in_flight:,} requests, as many as it may. Try again in a second.",
            code="overloaded",
            headers=[("retry-after", "1")],
        )


class BackendError(ApiError):
    """The backend failed, or said something that is no answer."""

    status = 502
    code = "backend_error"


class BackendUnavailable(BackendError):
    """No connection, or the backend says that it cannot serve now."""

    status = 503
    code = "backend_unavailable"


class BackendTimeout(BackendError):
    status = 504
    code = "backend_timeout"


class DeadlinePassed(ApiError):
    """The client's own (`x-request-timeout`); no backend's fault."""

    status = 504

    def __init__(self) -> None:
        super().__init__("The answer was not there by the time that 'x-request-timeout' sets.", code="deadline_passed")


class StoreUnavailable(ApiError):
    """The configured store cannot be reached: said aloud, never an API that forgets."""

    status = 503

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The response store is unavailable ({reason}). Nothing was stored; retry, or send store: false.",
            code="store_unavailable",
            headers=[("retry-after", "1")],
        )


class NotCached(ApiError):
    """`only-if-cached`, and it is not (RFC 9111, 5.2.1.7)."""

    status = 504
    type = "invalid_request_error"

    def __init__(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        super().__init__(
            "There is no cached answer to this request, and 'only-if-cached' forbids to ask for one.",
            code="not_cached",
            headers=[(name.decode(), value.decode()) for name, value in headers],
        )
