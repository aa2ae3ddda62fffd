"""`GET /v1/responses` as a WebSocket: one response after the other, events as text frames (OpenAI, WebSocket mode).

A connection remembers its newest response (of each `stream_id`), also one that is not stored, until a request that
goes on from it fails. Pings are WebSocket frames, which the server sends by itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing, suppress
from time import perf_counter
from typing import Any

import msgspec
import structlog

from responses_api import history, metrics
from responses_api.api.auth import ApiKeyAuthentication
from responses_api.api.http import Request
from responses_api.api.principal import Principal
from responses_api.api.render import to_api_error
from responses_api.chain import CONTINUABLE
from responses_api.engine import record_of
from responses_api.errors import ApiError, InvalidRequest, NotFound, UnsupportedParameter
from responses_api.history import History
from responses_api.run import RequestContext, Run
from responses_api.runtime import Runtime
from responses_api.shapes import response as response_shape
from responses_api.shapes.events import encode
from responses_api.shapes.ids import new_id
from responses_api.shapes.request import CreateRequest, parse_create_request
from responses_api.shapes.validation import decode, invalid_type, invalid_value

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_LANES = 32
_LANE = re.compile(r"[A-Za-z0-9_.-]{1,256}\Z")
_ONLY_LANE = ""
_CREATE = "response.create"
# Every answer here is streamed.
_MEANINGLESS = ("type", "stream", "stream_options", "stream_id", "generate")
_FALSE = msgspec.Raw(b"false")
_encode = msgspec.json.Encoder().encode

log = structlog.get_logger("responses_api.websocket")


class SocketEntry:
    """An ASGI application for WebSocket connections to `/v1/responses`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        request = Request(scope | {"method": "GET"}, b"", self._runtime)
        await receive()
        try:
            if request.path != "/v1/responses":
                raise NotFound(f"Invalid URL (WebSocket {request.path[:200]}).")
            if not self._runtime.config.response_api.enabled:
                raise NotFound("The Responses API is switched off here (response_api.enabled).", code="api_disabled")
            principal = await ApiKeyAuthentication().authenticate(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the handshake is answered
            await _refuse(scope, send, to_api_error(error, request.request_id), request.request_id)
            return
        await send({"type": "websocket.accept", "headers": [(b"x-request-id", request.request_id.encode())]})
        with metrics.OPEN_SOCKETS.track_inprogress():
            await _Connection(self._runtime, principal, receive, send).serve()


async def _refuse(scope: dict[str, Any], send: Send, error: ApiError, request_id: str) -> None:
    """An HTTP answer in place of the handshake, where the server can; else the connection is closed."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
        return
    headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode())]
    headers += [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in error.headers]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": error.body()})


class _Connection:
    """One client's requests, in their order."""

    def __init__(self, runtime: Runtime, principal: Principal, receive: Receive, send: Send) -> None:
        self._runtime = runtime
        self._project = principal.project
        self._allowances = principal.allowances
        self._receive = receive
        self._send = send
        self._waiting: asyncio.Queue[str | bytes] = asyncio.Queue(runtime.config.websocket.max_waiting)
        self._newest: dict[str, Run] = {}
        self._deadline = asyncio.get_running_loop().time() + runtime.config.websocket.max_seconds

    async def serve(self) -> None:
        """Until the client leaves or its time is over."""
        reading = asyncio.ensure_future(self._read())
        answering = asyncio.ensure_future(self._answer_all())
        try:
            await asyncio.wait({reading, answering}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, answering):
                task.cancel()
            await asyncio.wait({reading, answering})
        for task in (reading, answering):
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("websocket_failed", exc_info=error)

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            await self._waiting.put(text if text is not None else message.get("bytes") or b"")

    async def _answer_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(self._deadline - loop.time()):
                    frame = await self._waiting.get()
            except TimeoutError:
                break
            await self._answer(frame)
        minutes = self._runtime.config.websocket.max_seconds / 60
        limit = InvalidRequest(
            f"Responses websocket connection limit reached ({minutes:g} minutes). "
            "Create a new websocket connection to continue.",
            code="websocket_connection_limit_reached",
        )
        with suppress(OSError):
            await self._tell(limit, _ONLY_LANE)
            await self._send({"type": "websocket.close", "code": 1000})

    async def _answer(self, frame: str | bytes) -> None:
        """One request: its events, or one error in their place."""
        request_id, received = new_id("req"), perf_counter()
        lane, previous, status = _ONLY_LANE, None, 200
        try:
            fields = _parse_frame(frame)
            lane = self._lane_of(fields)
            create = parse_create_request(
                _encode({name: raw for name, raw in fields.items() if name not in _MEANINGLESS} | {"stream": True})
            )
            previous = create.params.previous_response_id
            context = RequestContext(self._project, request_id, received, len(frame), allowances=self._allowances)
            async with self._runtime.places.holding(self._project, self._allowances, request_id):
                await self._runtime.limits.admit(self._project, self._allowances)
                status = await self._respond(create, context, lane, generate=fields.get("generate") != _FALSE)
        except Exception as error:  # noqa: BLE001 - the one place where errors become frames
            told = to_api_error(error, request_id)
            status = told.status
            await self._tell(told, lane)
        if status >= 400 and previous is not None:
            self._forget(previous)
        metrics.of(metrics.REQUESTS, "responses_websocket", str(status)).inc()
        metrics.REQUEST_SECONDS.labels("responses_websocket").observe(perf_counter() - received)
        log.info(
            "request",
            request_id=request_id,
            method="WEBSOCKET",
            path="/v1/responses",
            status=status,
            ms=round((perf_counter() - received) * 1000, 2),
            project=self._project,
        )

    async def _respond(self, create: CreateRequest, context: RequestContext, lane: str, *, generate: bool) -> int:
        """Sends the events; 500 where the response failed. Raises `ApiError` before the first of them."""
        if create.params.background:
            raise UnsupportedParameter("Background responses are made over HTTP, not over a WebSocket.", "background")
        run = await self._runtime.engine.prepare(create, context, before=self._known(create))
        batches = self._runtime.engine.stream(run) if generate else self._runtime.engine.warm_up(run)
        suffix = b',"stream_id":%b}' % _encode(lane) if lane else b"}"
        async with aclosing(batches):  # type: ignore[type-var]
            async for batch in batches:
                for event in batch:
                    text = (encode(event)[:-1] + suffix).decode()
                    await self._send({"type": "websocket.send", "text": text})
        if run.response.status in CONTINUABLE:
            self._newest[lane] = run
        return 500 if run.response.status == "failed" else 200

    def _known(self, create: CreateRequest) -> History | None:
        """What the request goes on from, where this connection remembers it."""
        previous = create.params.previous_response_id
        run = next((run for run in self._newest.values() if run.response.id == previous), None)
        if run is None:
            return None
        return history.continued(run.history, record_of(run, response_shape.encode(run.response)))

    def _forget(self, response_id: str) -> None:
        self._newest = {lane: run for lane, run in self._newest.items() if run.response.id != response_id}

    def _lane_of(self, fields: dict[str, msgspec.Raw]) -> str:
        if "stream_id" not in fields:
            return _ONLY_LANE
        lane = msgspec.json.decode(fields["stream_id"])
        if not isinstance(lane, str) or not _LANE.match(lane):
            raise InvalidRequest(
                "Invalid 'stream_id': expected 1 to 256 of A-Z, a-z, 0-9, '_', '.' and '-'.",
                code="invalid_stream_id",
                param="stream_id",
            )
        if lane not in self._newest and len(self._newest) >= MAX_LANES:
            raise InvalidRequest(
                f"A connection has at most {MAX_LANES} streams. Use one of those there, or another connection.",
                code="websocket_stream_limit_reached",
                param="stream_id",
            )
        return lane

    async def _tell(self, error: ApiError, lane: str) -> None:
        told = {"type": error.type, "code": error.code or error.type, "message": error.message, "param": error.param}
        envelope: dict[str, Any] = {"type": "error", "status": error.status, "error": told}
        if lane:
            envelope["stream_id"] = lane
        await self._send({"type": "websocket.send", "text": _encode(envelope).decode()})


def _parse_frame(frame: str | bytes) -> dict[str, msgspec.Raw]:
    """The fields of a `response.create`. Raises `InvalidRequest`."""
    if isinstance(frame, bytes):
        raise InvalidRequest("Send text frames, each one JSON object.", code="invalid_json")
    fields = decode(frame.encode("utf-8", "surrogatepass"), dict[str, msgspec.Raw])
    kind = msgspec.json.decode(fields["type"]) if "type" in fields else None
    if not isinstance(kind, str):
        raise invalid_type("a string", kind, "type")
    if kind != _CREATE:
        raise invalid_value(kind, [_CREATE], "type")
    return fields
