"""A request and its reply as the lean entry knows them: what a view needs, nothing that costs and is not used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs

from responses_api.api.principal import Principal
from responses_api.errors import InvalidRequest, UnsupportedMediaType
from responses_api.run import RequestContext
from responses_api.runtime import Runtime
from responses_api.shapes.ids import new_id

Header = tuple[bytes, bytes]
Headers = Sequence[Header]
# Answers are nobody else's to keep.
_PRIVATE = (b"cache-control", b"private, no-store")
JSON_HEADERS: Headers = ((b"content-type", b"application/json"), _PRIVATE)
EVENT_STREAM_HEADERS: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    _PRIVATE,
    (b"x-accel-buffering", b"no"),
)


class Request:
    """One HTTP request. Stands in for Django's, whose construction alone costs more than a whole cache hit may."""

    def __init__(self, scope: dict[str, Any], body: bytes, runtime: Runtime) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        """By lower-case name; of a repeated header the last."""
        self.body = body
        self.runtime = runtime
        self.received = perf_counter()
        self.request_id = new_id("req")
        self.principal: Principal | None = None
        self.verdict: str | None = None
        """The cache's, where it has one."""
        self.outlives: Callable[[], Awaitable[bool]] | None = None
        """Asked when its client has left: do others wait for its answer?"""

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """Query parameters; `include[]=a` and `include=a` are the same."""
        if not self.scope["query_string"]:
            return {}
        parsed = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return {name.removesuffix("[]"): values for name, values in parsed.items()}

    @property
    def deadline(self) -> float:
        """By when, on `perf_counter`'s clock, the client wants its answer: `x-request-timeout`, in seconds.

        Raises `InvalidRequest`.
        """
        given = self.headers.get(b"x-request-timeout")
        if given is None:
            return inf
        try:
            seconds = float(given)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < inf:
            raise InvalidRequest(
                f"Invalid header 'x-request-timeout: {given.decode('latin-1')[:40]}'. Expected seconds above 0.",
                param="x-request-timeout",
            )
        return self.received + seconds

    def context(self, body: bytes) -> RequestContext:
        """Raises `InvalidRequest`."""
        assert self.principal is not None  # noqa: S101
        return RequestContext(
            self.principal.project,
            self.request_id,
            self.received,
            len(body),
            self.deadline,
            self.principal.allowances,
        )

    @property
    def project(self) -> str:
        assert self.principal is not None  # noqa: S101 - every view authenticates first
        return self.principal.project

    @property
    def is_json(self) -> bool:
        """Is the body declared as JSON?"""
        content_type = self.headers.get(b"content-type", b"")
        return content_type == b"application/json" or _media_type(content_type) == b"application/json"

    def json_body(self) -> bytes:
        """The body. Raises `UnsupportedMediaType` unless it is declared as JSON."""
        if not self.is_json:
            raise UnsupportedMediaType(_media_type(self.headers.get(b"content-type", b"")).decode("latin-1"))
        return self.body


def _media_type(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip().lower()


@dataclass(slots=True)
class Reply:
    """A whole answer."""

    body: bytes
    status: int = 200
    headers: Headers = JSON_HEADERS
    extra_headers: list[Header] = field(default_factory=list)

    def with_headers(self, headers: list[tuple[bytes, bytes]]) -> Reply:
        self.extra_headers = [*self.extra_headers, *headers]
        return self


@dataclass(slots=True)
class StreamReply:
    """An answer in frames. Status 200 is sent with the first one; an `ApiError` before it is a plain error reply."""

    frames: AsyncIterator[bytes]
    late_headers: Callable[[], Headers] = tuple
    """Asked for with the first frame, when what they tell of has happened."""
    status: int = 200
    headers: Headers = EVENT_STREAM_HEADERS

    def with_headers(self, headers: list[tuple[bytes, bytes]]) -> StreamReply:
        self.headers = (*self.headers, *headers)
        return self
