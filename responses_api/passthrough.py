"""Chat Completions, completions and embeddings: through the same choice of backend, index and metrics, untranslated."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from responses_api import metrics, sse
from responses_api.accounting import Accounting
from responses_api.backends.client import BackendClient, Call
from responses_api.backends.failover import first_answer
from responses_api.backends.fleet import Fleet
from responses_api.backends.registry import Endpoint
from responses_api.cache.entry import Recording
from responses_api.errors import ApiError, MissingParameter
from responses_api.index_entry import IndexEntry
from responses_api.index_writer import IndexWriter
from responses_api.run import RequestContext
from responses_api.shapes.response import Usage
from responses_api.shapes.validation import decode
from responses_api.translate.chat import ChatUsage

T = TypeVar("T")
PassedApi = Literal["chat", "completions", "embeddings"]
PATHS: dict[PassedApi, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}
_DONE = b"[DONE]"
_HAS_USAGE = (b'"usage":{', b'"usage": {')


class _Head(Struct):
    """What the gateway looks at; the rest is between client and backend."""

    model: Annotated[str, Meta(max_length=1000)] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None


class _Tail(Struct):
    """Of an answer, or of a chunk."""

    usage: ChatUsage | None = None
    choices: list[msgspec.Raw] | None = None


_tail_decoder = msgspec.json.Decoder(_Tail)


@dataclass(slots=True)
class Passage:
    """One request on its way; `*_at` are `time.perf_counter()` seconds."""

    api: PassedApi
    model: str
    streams: bool
    endpoint: Endpoint
    """That is asked, or was at last."""
    candidates: Sequence[Endpoint]
    """Those to try, best first."""
    body: bytes
    hides_usage: bool
    """Was the usage asked for by the gateway alone?"""
    context: RequestContext
    usage: Usage | None = None
    called_at: float = 0.0
    answered_at: float = 0.0
    first_token_at: float | None = None
    answer_bytes: int = 0
    is_told: bool = False
    """Has the index been told how it ended?"""
    """Was it ever? It may end anew, with an expired answer in place of the backend's failure."""
    tries: int = 0
    """Endpoints asked so far."""
    asked: bytes = b""
    """The body as its client sent it."""
    wants_usage: bool = False
    """Does the client of a stream want its usage?"""
    raw_usage: dict[str, Any] | None = None
    witness: Callable[[bytes], None] | None = None
    """Hears of each chunk that says something."""
    verdict: str = "bypass"
    """The cache's, and why."""
    verdict_reason: str = ""
    cache_entry: str = ""
    """The digest of what the cache was asked for."""


class Passthrough:
    """Shared by all requests of an event loop."""

    def __init__(self, fleet: Fleet, client: BackendClient, index: IndexWriter, accounting: Accounting) -> None:
        self._fleet = fleet
        self._client = client
        self._index = index
        self._accounting = accounting

    def prepare(self, api: PassedApi, body: bytes, context: RequestContext) -> Passage:
        """Raises `ApiError`."""
        head = decode(body, _Head)
        if not head.model:
            raise MissingParameter("model")
        candidates = self._fleet.candidates(head.model)
        asked = body
        if (served_as := self._fleet.registry.served_as(head.model)) != head.model:
            body = msgspec.json.encode({**decode(body, dict[str, Raw]), "model": served_as})
        streams = bool(head.stream) and api != "embeddings"
        # The index wants to know what a stream used, also where its client does not.
        hides_usage = streams and head.stream_options is None
        if hides_usage:
            body = b'{"stream_options":{"include_usage":true},' + body.lstrip()[1:]
        wants_usage = bool((head.stream_options or {}).get("include_usage"))
        passage = Passage(api, head.model, streams, candidates[0], candidates, body, hides_usage, context)
        passage.asked, passage.wants_usage = asked, wants_usage
        return passage

    def note_given(self, passage: Passage, recording: Recording, answer_bytes: int) -> None:
        """The index hears of an answer that was given again."""
        now = time.perf_counter()
        passage.called_at = passage.answered_at = now
        passage.first_token_at = now if passage.streams else None
        passage.answer_bytes = answer_bytes
        self._tell(passage, "completed", "", recording)

    async def complete(self, passage: Passage) -> bytes:
        """The backend's answer as it came. Raises `ApiError`."""
        with self._following(passage):
            answer = await self._ask_first(passage, _read_whole)
            passage.answered_at = time.perf_counter()
            passage.answer_bytes = len(answer)
            _note_usage(passage, answer)
            return answer

    async def stream(self, passage: Passage) -> AsyncIterator[bytes]:
        """The backend's events as frames. Raises `ApiError` before the first only; later it is told as an event."""
        with self._following(passage):
            async with await self._ask_first(passage, Call.open_stream) as call:
                reader = sse.DataReader()
                try:
                    async for packet in call.packets():
                        if frames := _frames(passage, reader.feed(packet)):
                            yield frames
                    if frames := _frames(passage, reader.close()):
                        yield frames
                except ApiError as error:
                    # The stream has begun: its client can only be told inside it.
                    self._tell(passage, "failed", error.code or error.type)
                    yield b"data: %b\n\n" % error.body()

    async def _ask_first(self, passage: Passage, take: Callable[[Call], Awaitable[T]]) -> T:
        """What `take` makes of the first candidate's answer that it can be made of."""

        async def ask(endpoint: Endpoint) -> T:
            passage.tries += 1
            passage.endpoint = endpoint
            return await take(self._client.call(endpoint, PATHS[passage.api], passage.body, passage.context.deadline))

        context = passage.context
        return await first_answer(self._fleet, passage.model, passage.candidates, ask, context.request_id)

    @contextmanager
    def _following(self, passage: Passage) -> Iterator[None]:
        """However it ends, the index hears of it; what nobody ended was left by its client."""
        passage.called_at = time.perf_counter()
        status, error_code = "cancelled", ""
        try:
            yield
            status = "completed"
        except ApiError as error:
            status, error_code = "failed", error.code or error.type
            raise
        finally:
            passage.answered_at = passage.answered_at or time.perf_counter()
            if not passage.is_told:
                self._tell(passage, status, error_code)

    def _tell(self, passage: Passage, status: str, error_code: str, given: Recording | None = None) -> None:
        passage.is_told = True
        context, usage, now = passage.context, passage.usage, time.perf_counter()
        created_at = time.time() - (now - context.received)
        self._index.add(
            IndexEntry(
                id=context.request_id,
                project=context.project,
                created_at=created_at,
                expires_at=self._accounting.expiry(created_at, stored=False),
                request_id=context.request_id,
                api=passage.api,
                model=passage.model,
                status=status,
                error_code=error_code,
                stream=passage.streams,
                verdict=passage.verdict,
                verdict_reason=passage.verdict_reason,
                cache_entry=passage.cache_entry,
                backend=passage.endpoint.name if passage.tries else "",
                tries=passage.tries,
                input_tokens=given.input_tokens if given else usage.input_tokens if usage else 0,
                cached_tokens=usage.input_tokens_details.cached_tokens if usage else 0,
                output_tokens=given.output_tokens if given else usage.output_tokens if usage else 0,
                reasoning_tokens=usage.output_tokens_details.reasoning_tokens if usage else 0,
                request_bytes=context.request_bytes,
                response_bytes=passage.answer_bytes,
                duration_ms=(now - context.received) * 1000,
                first_token_ms=(passage.first_token_at - context.received) * 1000 if passage.first_token_at else None,
                gateway_ms=(now - context.received - (passage.answered_at - passage.called_at)) * 1000,
            )
        )
        if passage.first_token_at is not None:
            metrics.FIRST_TOKEN_SECONDS.observe(passage.first_token_at - context.received)
        if usage is not None and given is None:
            self._accounting.charge(
                context, passage.endpoint.name, passage.model, usage.input_tokens, usage.output_tokens
            )


async def _read_whole(call: Call) -> bytes:
    async with call:
        return await call.read_json()


def _frames(passage: Passage, data: list[bytes]) -> bytes:
    """A packet's events for the client, without the usage that only the gateway asked for."""
    if data and passage.first_token_at is None:
        passage.first_token_at = time.perf_counter()
    kept = []
    for each in data:
        is_usage = any(mark in each for mark in _HAS_USAGE) and _note_usage(passage, each)
        if passage.witness is not None and not is_usage and each != _DONE:
            passage.witness(each)
        if is_usage and passage.hides_usage:
            continue
        kept.append(b"data: %b\n\n" % each)
    frames = b"".join(kept)
    passage.answer_bytes += len(frames)
    return frames


def _note_usage(passage: Passage, answer: bytes) -> bool:
    """Is the usage all that it tells?"""
    try:
        tail = _tail_decoder.decode(answer)
    except (msgspec.DecodeError, UnicodeError):
        return False
    if tail.usage is not None:
        passage.usage = tail.usage.to_usage()
        if passage.witness is not None:
            passage.raw_usage = msgspec.json.decode(answer)["usage"]
    return tail.choices == [] and tail.usage is not None
