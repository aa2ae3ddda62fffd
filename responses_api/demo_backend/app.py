"""The demo backend's ASGI application: an OpenAI-compatible server that needs no model.

It imports nothing of the gateway: it is a stranger to it, like any other backend.

    GET  /health                    200
    GET  /v1/models                 `demo`; chat takes any other name too
    POST /v1/chat/completions       JSON or stream
    POST /v1/responses              JSON or stream; keeps nothing; of hosted tools it has web search
    POST /v1/completions            JSON or stream
    POST /v1/embeddings             the same vector for the same text
    POST /tokenize                  vLLM's: words counted as tokens
    GET  /calls[?bodies=1]          counts; the last requests with their headers
    POST /calls/reset               counts and bodies to nothing, answer ids back to 1
    POST /script, DELETE /script    `{"steps": {…}, "times": 1, "on": "chat"}` for calls to come; forget them
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from responses_api.demo_backend import answers, chunks, other_apis
from responses_api.demo_backend.chat_request import ChatRequest, RequestError, parse_request
from responses_api.demo_backend.delivery import document_delivery, error_object, stream_delivery
from responses_api.demo_backend.exchange import ClientGoneError, Exchange, Headers, Receive, Scope, Send
from responses_api.demo_backend.ledger import Call, Ledger
from responses_api.demo_backend.other_apis import CompletionRequest, EmbeddingsRequest, TokenizeRequest
from responses_api.demo_backend.responses_answer import ResponsesAnswer
from responses_api.demo_backend.responses_answer import usage as responses_usage
from responses_api.demo_backend.responses_request import parse_responses_request
from responses_api.demo_backend.script import (
    Queue,
    ScriptError,
    Steps,
    Target,
    from_model,
    parse_script,
    parse_steps,
)

_JSON: Headers = [(b"content-type", b"application/json")]
_HTML: Headers = [(b"content-type", b"text/html; charset=utf-8")]
_EVENT_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]
_SCRIPT_HEADER = b"x-demo-script"
_NO_STEPS = Steps()

_MODELS = {
    "object": "list",
    "data": [{"id": "demo", "object": "model", "created": chunks.CREATED, "owned_by": "responses-router"}],
}
_ERROR_PAGE = b"<html><head><title>%d</title></head><body><h1>%d Bad Gateway</h1></body></html>\n"


class DemoBackend:
    """`defaults` hold for every chat call whose script does not say otherwise."""

    def __init__(self, defaults: Steps = _NO_STEPS, *, keep_bodies: int = 100) -> None:
        self.scripts = Queue()
        self.ledger = Ledger(keep_bodies)
        self._defaults = defaults
        self._in_flight: set[Exchange] = set()
        self._answers = 0
        self._routes: dict[tuple[str, str], Callable[[Exchange], Awaitable[None]]] = {
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/responses"): self._respond,
            ("POST", "/v1/completions"): self._complete,
            ("POST", "/v1/embeddings"): self._embed,
            ("POST", "/tokenize"): self._tokenize,
            ("GET", "/v1/models"): self._models,
            ("GET", "/health"): self._health,
            ("GET", "/calls"): self._calls,
            ("POST", "/calls/reset"): self._reset,
            ("POST", "/script"): self._add_script,
            ("DELETE", "/script"): self._clear_scripts,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        self._in_flight.add(exchange)
        try:
            await self._routes.get((scope["method"], scope["path"]), _unknown_path)(exchange)
        except RequestError as refused:
            await exchange.answer(refused.status, _JSON, msgspec.json.encode({"error": refused.error}))
        except ClientGoneError:
            self.ledger.aborted += 1
        finally:
            self._in_flight.discard(exchange)
            exchange.finish()

    def counts(self) -> dict[str, int]:
        """See `Ledger.counts`."""
        return self.ledger.counts(sum(exchange.scope["path"].startswith("/v1/") for exchange in list(self._in_flight)))

    def reset(self) -> None:
        """Forgets calls and bodies; answer ids start over."""
        self.ledger.reset()
        self._answers = 0

    def hang_up_all(self) -> None:
        """Ends every call in flight, as a server must before it can stop."""
        for exchange in list(self._in_flight):
            exchange.close_connection()

    async def _chat(self, exchange: Exchange) -> None:
        request = parse_request(await self._arrived("chat", exchange))
        steps = self._steps_for(request.demo_script, request.model, "chat", exchange)
        if await _refused_by(steps, exchange):
            return
        _check_context(request, steps)
        identity = chunks.Identity(f"chatcmpl-demo-{self._next_answer()}", request.model or "")
        said = answers.answer(request, steps)
        usage = steps.usage or answers.usage(request, said)
        if request.stream and not steps.ignore_stream:
            await _send_stream(lambda: chunks.frames(identity, request, said, usage, steps), steps, exchange)
        else:
            await _send_document(200, _JSON, chunks.completion(identity, request, said, usage, steps), steps, exchange)

    async def _respond(self, exchange: Exchange) -> None:
        request = parse_responses_request(await self._arrived("responses", exchange))
        steps = self._steps_for(request.demo_script, request.model, "responses", exchange)
        if await _refused_by(steps, exchange):
            return
        chat = request.as_chat()
        _check_context(chat, steps)
        said = answers.answer(chat, steps)
        usage = steps.usage or responses_usage(answers.usage(chat, said))
        query = chat.prompt if request.searches(chat.prompt) else None
        answer = ResponsesAnswer(f"resp_demo{self._next_answer()}", request, said, usage, query)
        if request.stream and not steps.ignore_stream:
            await _send_stream(answer.frames, steps, exchange)
        else:
            await _send_document(200, _JSON, answer.document(), steps, exchange)

    async def _complete(self, exchange: Exchange) -> None:
        request = other_apis.parse(await self._arrived("completions", exchange), CompletionRequest)
        steps = self._steps_for(request.demo_script, request.model, "completions", exchange)
        if await _refused_by(steps, exchange):
            return
        if request.stream:
            await _send_stream(lambda: other_apis.completion_frames(request, steps), steps, exchange)
        else:
            await _send_document(200, _JSON, other_apis.completion(request, steps), steps, exchange)

    async def _embed(self, exchange: Exchange) -> None:
        request = other_apis.parse(await self._arrived("embeddings", exchange), EmbeddingsRequest)
        steps = self._steps_for(None, request.model, "embeddings", exchange)
        if not await _refused_by(steps, exchange):
            await _send_document(200, _JSON, other_apis.embeddings(request), steps, exchange)

    async def _tokenize(self, exchange: Exchange) -> None:
        request = other_apis.parse(await self._arrived("tokenize", exchange), TokenizeRequest)
        steps = self._steps_for(None, request.model, "tokenize", exchange)
        if not await _refused_by(steps, exchange):
            await _send_document(200, _JSON, other_apis.tokenized(request, steps), steps, exchange)

    async def _arrived(self, target: Target, exchange: Exchange) -> bytes:
        body = await exchange.body()
        scope = exchange.scope
        self.ledger.arrived(target, scope["client"], Call(target, scope["path"], scope["headers"], body))
        return body

    def _next_answer(self) -> int:
        self._answers += 1
        return self._answers

    def _steps_for(self, told: Steps | None, model: str | None, target: Target, exchange: Exchange) -> Steps:
        try:
            told = told or _from_header(exchange) or from_model(model or "") or self.scripts.take(target)
        except ScriptError as error:
            raise RequestError(400, str(error), code="invalid_script") from error
        return told.over(self._defaults) if told else self._defaults

    async def _models(self, exchange: Exchange) -> None:
        await self._fixed(exchange, "models", msgspec.json.encode(_MODELS))

    async def _health(self, exchange: Exchange) -> None:
        await self._fixed(exchange, "health", b'{"status":"ok"}')

    async def _fixed(self, exchange: Exchange, target: Target, body: bytes) -> None:
        await exchange.body()
        self.ledger.arrived(target, exchange.scope["client"])
        steps = self.scripts.take(target) or _NO_STEPS
        if not await _refused_by(steps, exchange):
            await _send_document(200, _JSON, body, steps, exchange)

    async def _calls(self, exchange: Exchange) -> None:
        report: dict[str, Any] = dict(self.counts())
        if b"bodies=1" in exchange.scope["query_string"]:
            report["bodies"] = [call.as_json() for call in self.ledger.kept]
        await exchange.answer(200, _JSON, msgspec.json.encode(report))

    async def _reset(self, exchange: Exchange) -> None:
        self.reset()
        await exchange.answer(204, [], b"")

    async def _add_script(self, exchange: Exchange) -> None:
        try:
            self.scripts.add(parse_script(await exchange.body()))
        except ScriptError as error:
            raise RequestError(400, str(error), code="invalid_script") from error
        await exchange.answer(204, [], b"")

    async def _clear_scripts(self, exchange: Exchange) -> None:
        self.scripts.clear()
        await exchange.answer(204, [], b"")


async def _unknown_path(exchange: Exchange) -> None:
    await exchange.body()
    raise RequestError(404, f"Invalid URL ({exchange.scope['method']} {exchange.scope['path']})", code="unknown_url")


async def _refused_by(steps: Steps, exchange: Exchange) -> bool:
    """Plays the steps that come before, or instead of, an answer; true when nothing is left to say."""
    if steps.delay_ms:
        await exchange.wait(steps.delay_ms / 1000)
    if steps.hang_up:
        await exchange.hang_up()
        return True
    status = steps.status or (502 if steps.html else 200)
    if steps.html:
        await _send_document(status, _HTML, _ERROR_PAGE % (status, status), steps, exchange)
    elif steps.body is not None:
        body = steps.body.encode() if isinstance(steps.body, str) else msgspec.json.encode(steps.body)
        await _send_document(status, _JSON, body, steps, exchange)
    elif status >= 400:
        await _send_document(status, _JSON, msgspec.json.encode(error_object(steps, status)), steps, exchange)
    else:
        return False
    return True


async def _send_document(status: int, headers: Headers, body: bytes, steps: Steps, exchange: Exchange) -> None:
    if steps.stall_after is None and steps.cut_after is None and steps.packet_bytes is None:
        await exchange.answer(status, _headers(headers, steps), body)
        return
    length = (b"content-length", str(len(body)).encode())
    await exchange.deliver(status, [length, *_headers(headers, steps)], document_delivery(body, steps))


async def _send_stream(make_frames: Callable[[], list[bytes]], steps: Steps, exchange: Exchange) -> None:
    frames = make_frames() if steps.raw_chunks is None else [chunk.encode() for chunk in steps.raw_chunks]
    headers = _headers(_EVENT_STREAM, steps)
    await exchange.deliver(200, headers, stream_delivery(frames, steps), steps.tokens_per_second or 0)


def _check_context(request: ChatRequest, steps: Steps) -> None:
    """Raises `RequestError` for more words than the script gives the model room for, in vLLM's words."""
    if steps.context_tokens is None:
        return
    asked = sum(len(message.text.split()) for message in request.said)
    if asked > steps.context_tokens:
        raise RequestError(
            400,
            f"This model's maximum context length is {steps.context_tokens} tokens. However, your messages resulted "
            f"in {asked} tokens. Please reduce the length of the messages.",
            code="context_length_exceeded",
            param="messages",
        )


def _headers(headers: Headers, steps: Steps) -> Headers:
    if not steps.headers:
        return headers
    told = [(name.lower().encode(), value.encode()) for name, value in steps.headers.items()]
    return [*(pair for pair in headers if pair[0] not in dict(told)), *told]


def _from_header(exchange: Exchange) -> Steps | None:
    for name, value in exchange.scope["headers"]:
        if name == _SCRIPT_HEADER:
            return parse_steps(value)
    return None
