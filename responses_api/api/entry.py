"""The lean entry: ASGI → view → ASGI, without Django's handler (its thread hops cost 600 µs a request).

Reads the body, resolves the URL against `api.urls`, sends the reply, and watches for a client that leaves: its
request is cancelled, and with it the backend call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing
from functools import cache
from time import perf_counter
from typing import Any, NamedTuple

import structlog

from responses_api import metrics, sse
from responses_api.api import urls
from responses_api.api.base import ApiView
from responses_api.api.http import Header, Reply, Request, StreamReply
from responses_api.api.presence import Watchman
from responses_api.api.render import error_reply
from responses_api.errors import ApiError, NotFound, Overloaded, PayloadTooLarge
from responses_api.runtime import Runtime

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

KEEP_ALIVE_SECONDS = 15.0
_LOOKED_AT = "responses_router.looked_at"
"""In a scope: its `Request`, which could not be answered at once; taken out, since each holds the other."""
WHOLE_ANSWER = "responses_router.whole_answer"
"""The ASGI extension of `router_site.http_protocol`; under another server an answer is two messages, as ever."""


class _Route(NamedTuple):
    """What `api.urls` says of one path, taken out of Django's wrappers."""

    name: str
    pattern: Any
    view: type[ApiView]


_routes = [_Route(str(each.name), each.pattern, each.callback.cls) for each in urls.urlpatterns]  # type: ignore[attr-defined]
_static_routes = {f"/{route.pattern}": route for route in _routes if "<" not in str(route.pattern)}
_dynamic_routes = [route for route in _routes if "<" in str(route.pattern)]


class ClientGone(Exception):
    """The client left before its request was whole."""


class Entry:
    """An ASGI application for the paths of `api.urls`."""

    def __init__(self, runtime: Runtime) -> None:
        """Call it on the event loop that serves."""
        self._runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._watchman = Watchman(self._loop)
        self._in_flight = 0
        self._max_in_flight = runtime.config.max_in_flight
        # Bound once: the lazy logger looks its configuration up for every line.
        self._log = structlog.get_logger("responses_api.request").bind()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        looked_at: Request | None = scope.pop(_LOOKED_AT, None)
        request = looked_at or Request(scope, b"", self._runtime)
        route, status = "unknown", 0
        self._in_flight += 1
        client = _Client(request, receive, send, self._loop)
        try:
            with client:
                route, reply = await self._reply(request, client, is_read=looked_at is not None)
                status = await client.send(reply, request.request_id)
        except ClientGone:
            status = 499
            metrics.CLIENT_DISCONNECTS.inc()
        finally:
            self._in_flight -= 1
            _observe(request, route, status, self._log)

    def answer_at_once(self, scope: dict[str, Any], body: bytes) -> tuple[int, list[Header], bytes] | None:
        """Status, headers and body, where they are there without waiting for anyone; None: ask in the usual way."""
        route = _static_routes.get(scope["path"])
        if route is None or route.view.at_once is None or self._in_flight >= self._max_in_flight:
            return None
        if len(body) > self._runtime.config.max_body_bytes:
            return None
        request = Request(scope, body, self._runtime)
        try:
            reply = route.view.at_once(request)
        except Exception as error:  # noqa: BLE001 - nobody above us could say it to the client
            reply = error_reply(error, request.request_id)
        if reply is None:
            scope[_LOOKED_AT] = request
            return None
        _observe(request, route.name, reply.status, self._log)
        return reply.status, _headers_of(reply, request.request_id), reply.body

    async def _reply(self, request: Request, client: _Client, *, is_read: bool) -> tuple[str, Reply | StreamReply]:
        route = "unknown"
        try:
            if not is_read:
                request.body = await client.read_body(request.headers, self._runtime.config.max_body_bytes)
            self._watchman.expect(client)
            route, view, arguments = _resolve(request)
            if self._in_flight > self._max_in_flight and view.is_limited:
                metrics.SHED.inc()
                raise Overloaded(self._max_in_flight)
            return route, await view().dispatch(request, **arguments)
        except ApiError as error:
            return route, error_reply(error, request.request_id)


def _headers_of(reply: Reply, request_id: str) -> list[Header]:
    return [*reply.headers, *reply.extra_headers, (b"x-request-id", request_id.encode())]


def _resolve(request: Request) -> tuple[str, type[ApiView], dict[str, Any]]:
    """Django's routes without its resolver and `as_view`, which spend 12 µs on what nobody here reads."""
    route = _static_routes.get(request.path)
    if route is not None:
        return route.name, route.view, {}
    for route in _dynamic_routes:
        if match := route.pattern.match(request.path[1:]):
            return route.name, route.view, match[2]
    raise NotFound(f"Invalid URL ({request.method} {request.path[:200]}).")


class _Client:
    """The other side of one request: its body, its presence, its answer."""

    __slots__ = (
        "_beat",
        "_is_gone",
        "_last_sent",
        "_loop",
        "_receive",
        "_request",
        "_send",
        "_task",
        "_timer",
        "_watcher",
        "is_finished",
    )

    def __init__(self, request: Request, receive: Receive, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._task = asyncio.current_task(loop)
        self.is_finished = False
        self._watcher: asyncio.Task[None] | None = None
        self._loop = loop
        self._is_gone = False
        self._last_sent = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None

    async def read_body(self, headers: dict[bytes, bytes], max_bytes: int) -> bytes:
        """The whole body. Raises `PayloadTooLarge`, or `ClientGone`."""
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > max_bytes:
            raise PayloadTooLarge(max_bytes)
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await self._read_rest(body, max_bytes)
        elif message["type"] == "http.disconnect":
            raise ClientGone
        return body

    async def _read_rest(self, first: bytes, max_bytes: int) -> bytes:
        chunks, size, more = [first], len(first), True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > max_bytes:
                raise PayloadTooLarge(max_bytes)
            more = message.get("more_body", False)
        return b"".join(chunks)

    def __enter__(self) -> None:
        """Watched until the end of the block."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises `ClientGone` when the client has left; the server's own cancellation (shutdown) stays what it is."""
        self.is_finished = True
        # The watchman keeps us for another round; all that the request has grown need not stay as long.
        del self._request
        if self._watcher is not None:
            self._watcher.cancel()
        self._stop_keep_alive()
        if self._is_gone and self._task is not None and kind is not None and issubclass(kind, asyncio.CancelledError):
            self._task.uncancel()
            raise ClientGone from None

    async def send(self, reply: Reply | StreamReply, request_id: str) -> int:
        """Sends it all; the status that went out."""
        if isinstance(reply, StreamReply):
            return await self._send_stream(reply, request_id)
        headers = _headers_of(reply, request_id)
        answer_whole = self._request.scope.get("extensions", {}).get(WHOLE_ANSWER)
        if answer_whole is not None and answer_whole(self._send, reply.status, headers, reply.body):
            return reply.status
        headers.append((b"content-length", b"%d" % len(reply.body)))
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": reply.body})
        return reply.status

    async def _send_stream(self, reply: StreamReply, request_id: str) -> int:
        async with aclosing(reply.frames) as frames:  # type: ignore[type-var]
            try:
                first = await anext(frames)
            except Exception as error:  # noqa: BLE001 - before the first frame any failure is a plain error reply
                return await self.send(error_reply(error, request_id), request_id)
            headers = [*reply.headers, *reply.late_headers(), (b"x-request-id", request_id.encode())]
            await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
            self._timer = self._loop.call_later(KEEP_ALIVE_SECONDS, self._keep_alive)
            with metrics.OPEN_STREAMS.track_inprogress():
                await self._send_frame(first)
                async for frame in frames:
                    await self._send_frame(frame)
            self._stop_keep_alive()
        await self._send({"type": "http.response.body", "body": b""})
        return reply.status

    async def _send_frame(self, frame: bytes) -> None:
        self._last_sent = perf_counter()
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    def start_watching(self) -> None:
        self._watcher = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # the body, where it was not read this way
        outlives = self._request.outlives
        if outlives is not None and await outlives():
            return
        self._is_gone = True
        if self._task is not None:
            self._task.cancel()

    def _keep_alive(self) -> None:
        """Keeps a silent stream's connection from looking dead. One timer that looks back, not one for each frame."""
        silent = perf_counter() - self._last_sent
        if silent >= KEEP_ALIVE_SECONDS:
            self._beat = self._loop.create_task(self._send_frame(sse.KEEP_ALIVE_FRAME))
            silent = 0.0
        self._timer = self._loop.call_later(KEEP_ALIVE_SECONDS - silent, self._keep_alive)

    def _stop_keep_alive(self) -> None:
        """Also the comment that was about to go out: nothing may follow the end of the body."""
        if self._timer is not None:
            self._timer.cancel()
        if self._beat is not None:
            self._beat.cancel()


@cache
def _counters(route: str, status: int) -> tuple[metrics.Counter, metrics.Histogram]:
    """Looked up once: prometheus' own search by label costs 2 µs each time."""
    return metrics.REQUESTS.labels(route, str(status)), metrics.REQUEST_SECONDS.labels(route)


def _observe(request: Request, route: str, status: int, log: Any) -> None:
    seconds = perf_counter() - request.received
    count, duration = _counters(route, status)
    count.inc()
    duration.observe(seconds)
    log.info(
        "request",
        request_id=request.request_id,
        method=request.method,
        path=request.path,
        status=status,
        ms=round(seconds * 1000, 2),
        project=request.principal.project if request.principal else None,
        cache=request.verdict,
    )
