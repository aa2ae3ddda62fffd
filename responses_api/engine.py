"""One request, start to finish: chain → backend → translate → store.

`prepare` resolves the past and picks the endpoint; then either `complete` (one JSON answer) or `stream` (events).
A response is stored before its end is told, so that a follow-up right behind it finds it.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
import structlog
from msgspec import Raw

from responses_api import metrics, sse
from responses_api.backends import select
from responses_api.backends.client import BackendClient
from responses_api.backends.failures import not_json
from responses_api.backends.registry import Endpoint, Registry
from responses_api.chain import Chain, LinkCache, read_chain
from responses_api.config.schema import RouterConfig
from responses_api.errors import ApiError, BackendError
from responses_api.index_entry import IndexEntry
from responses_api.index_writer import IndexWriter
from responses_api.shapes import response as response_shape
from responses_api.shapes.events import Event
from responses_api.shapes.ids import new_id
from responses_api.shapes.request import CreateRequest
from responses_api.shapes.response import Response, ResponseError
from responses_api.stored_responses import StoredResponses
from responses_api.stores.base import Store
from responses_api.stores.record import StoredResponse
from responses_api.translate.chat import Completion, decode_completion, error_message
from responses_api.translate.outcome import Outcome, conclude
from responses_api.translate.request import to_chat_request
from responses_api.translate.response import from_completion
from responses_api.translate.stream import BackendStreamError, StreamTranslator
from responses_api.translate.tool_pairs import check_tool_pairs

log = structlog.get_logger(__name__)

_DONE = b"[DONE]"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Who asks. `received` is `time.perf_counter()` seconds at the request's first byte."""

    project: str
    request_id: str
    received: float = field(default_factory=time.perf_counter)
    request_bytes: int = 0


@dataclass(slots=True)
class Run:
    """One response on its way; `*_at` are `time.perf_counter()` seconds."""

    request: CreateRequest
    context: RequestContext
    chain: Chain
    endpoint: Endpoint
    chat_request: bytes
    response: Response
    called_at: float = 0.0
    answered_at: float = 0.0
    first_token_at: float | None = None
    settled: bool = False
    """Has the index been told how it ended?"""


class Engine:
    """Shared by all requests of an event loop; holds no state of any of them."""

    def __init__(
        self,
        config: RouterConfig,
        store: Store,
        stored: StoredResponses,
        registry: Registry,
        client: BackendClient,
        index: IndexWriter,
    ) -> None:
        self._config = config
        self._store = store
        self._stored = stored
        self._registry = registry
        self._client = client
        self._index = index
        self._links = LinkCache(config.chain_cache_bytes)

    async def prepare(self, request: CreateRequest, context: RequestContext) -> Run:
        """Everything that can be refused before the backend is troubled. Raises `ApiError`."""
        endpoint = select.choose(self._registry.endpoints_for(request.model), random.random())  # noqa: S311
        if request.store and not self._store.healthy:
            await self._store.ping()
        chain = await self._read_chain(request, context.project)
        items = [*chain.items, *request.views]
        check_tool_pairs(items)
        instructions = request.params.instructions
        if instructions is None and self._config.response_api.inherit_instructions:
            instructions = chain.instructions
        chat = to_chat_request(request, items, instructions, max_tokens_field=endpoint.max_tokens_field)
        response = response_shape.in_progress(request, new_id("resp"), int(time.time()), instructions)
        return Run(request, context, chain, endpoint, _encode(chat), response)

    async def complete(self, run: Run) -> bytes:
        """The finished response as JSON, stored where asked. Raises `ApiError`."""
        with self._settling(run):
            run.called_at = time.perf_counter()
            answer = await self._client.complete(run.endpoint, run.chat_request)
            run.answered_at = time.perf_counter()
            conclude(run.response, _read_answer(run.endpoint, answer), int(time.time()))
            return await self._record(run)

    async def stream(self, run: Run) -> AsyncIterator[list[Event]]:
        """The run's events, a batch for each packet of the backend; encode a batch before asking for the next.

        Raises `ApiError` before the first batch only; a later failure is a `response.failed` event.
        """
        translator = StreamTranslator(run.response)
        with self._settling(run):
            run.called_at = time.perf_counter()
            async with self._client.call(run.endpoint, run.chat_request) as call:
                await call.require_stream()
                yield translator.start()
                try:
                    async for produced in _translate(run, translator, call.packets()):
                        yield produced
                    produced, outcome = translator.finish()
                except Exception as error:  # noqa: BLE001 - a stream that has begun must end in words
                    produced, outcome = [], translator.fail(_failure(run, error))
                run.answered_at = time.perf_counter()
            if produced:
                yield produced
            await self._conclude_stream(run, translator, outcome)
            yield [translator.terminal()]

    async def _read_chain(self, request: CreateRequest, project: str) -> Chain:
        previous = request.params.previous_response_id
        if not previous:
            return Chain()
        return await read_chain(self._store, project, previous, self._config.max_chain_responses, self._links)

    async def _conclude_stream(self, run: Run, translator: StreamTranslator, outcome: Outcome) -> None:
        """Stores the response; what cannot be stored has failed, and its client is told so."""
        conclude(run.response, outcome, int(time.time()))
        try:
            await self._record(run)
        except ApiError as error:
            conclude(run.response, translator.fail(ResponseError("server_error", error.message)), int(time.time()))
            self._settle(run, "failed", error_code=error.code or error.type)

    async def _record(self, run: Run) -> bytes:
        """Stores the concluded response where asked, and tells the index in the same pipeline."""
        response = run.response
        encoded = response_shape.encode(response)
        error_code = response.error.code if response.error else ""
        if not run.request.store:
            self._settle(run, response.status, error_code=error_code, response_bytes=len(encoded))
            return encoded
        creating = self._stored.create(
            StoredResponse(
                id=response.id,
                previous_response_id=response.previous_response_id or "",
                project=run.context.project,
                created_at=response.created_at,
                depth=run.chain.depth,
                ancestors=run.chain.ancestors,
                input=Raw(_encode(run.request.items)),
                response=Raw(encoded),
            )
        )
        self._settle(run, response.status, error_code=error_code, stored=True, response_bytes=len(encoded))
        await creating
        return encoded

    @contextmanager
    def _settling(self, run: Run) -> Iterator[None]:
        """However the run ends, the index hears of it; one that nobody settled was left by its client."""
        try:
            yield
        except ApiError as error:
            self._settle(run, "failed", error_code=error.code or error.type)
            raise
        except Exception:
            self._settle(run, "failed", error_code="internal_error")
            raise
        finally:
            self._settle(run, "cancelled")

    def _settle(
        self, run: Run, status: str, *, error_code: str = "", stored: bool = False, response_bytes: int = 0
    ) -> None:
        """Tells index and metrics how the run ended, once; a failure after the fact replaces the row."""
        if run.settled and not error_code:
            return
        is_first, run.settled = not run.settled, True
        entry = _index_entry(run, status, error_code, stored=stored, response_bytes=response_bytes)
        entry.expires_at = self._expiry(run, stored=stored)
        self._index.add(entry)
        if is_first and run.response.usage is not None:
            metrics.of(metrics.TOKENS, run.endpoint.name, "input").inc(entry.input_tokens)
            metrics.of(metrics.TOKENS, run.endpoint.name, "output").inc(entry.output_tokens)

    def _expiry(self, run: Run, *, stored: bool) -> float | None:
        if not stored:
            return run.response.created_at + self._config.index.retention_seconds
        ttl_seconds = self._config.response_api.ttl_seconds
        return run.response.created_at + ttl_seconds if ttl_seconds else None


async def _translate(
    run: Run, translator: StreamTranslator, packets: AsyncIterator[bytes]
) -> AsyncIterator[list[Event]]:
    """Packets → batches of events. Raises `BackendError` for a stream that is broken, or reports an error."""
    reader = sse.DataReader()
    async for packet in packets:
        data = reader.feed(packet)
        produced, failure = _feed(run, translator, data)
        if produced:
            if run.first_token_at is None and translator.has_output:
                run.first_token_at = time.perf_counter()
            yield produced
        if failure is not None:
            raise failure
        if data and data[-1] == _DONE:
            return
    produced, failure = _feed(run, translator, reader.close())
    if produced:
        yield produced
    if failure is None and not translator.is_finished:
        failure = BackendError(f"Backend '{run.endpoint.name}' ended its stream before it was finished.")
    if failure is not None:
        raise failure


def _feed(run: Run, translator: StreamTranslator, data: list[bytes]) -> tuple[list[Event], BackendError | None]:
    """The events of a packet's chunks, up to the first that is none: what came before it is told all the same."""
    produced: list[Event] = []
    try:
        for each in data:
            if each != _DONE:
                produced += translator.feed(decode_completion(each))
    except BackendStreamError as error:
        return produced, BackendError(f"Backend '{run.endpoint.name}' reported an error: {error}")
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return produced, BackendError(f"Backend '{run.endpoint.name}' sent a chunk that cannot be read: {error}")
    return produced, None


def _failure(run: Run, error: Exception) -> ResponseError:
    if isinstance(error, ApiError):
        return ResponseError("server_error", error.message)
    log.error("stream_failed", request_id=run.context.request_id, exc_info=error)
    return ResponseError("server_error", f"The gateway failed. Its log has the reason under {run.context.request_id}.")


def _read_answer(endpoint: Endpoint, answer: bytes) -> Outcome:
    try:
        completion: Completion = decode_completion(answer)
        if completion.error is not None:
            raise BackendError(f"Backend '{endpoint.name}' reported an error: {error_message(completion.error)}")
        return from_completion(completion)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise not_json(endpoint.name, 200, "application/json", answer) from error


def _index_entry(run: Run, status: str, error_code: str, *, stored: bool, response_bytes: int) -> IndexEntry:
    response, context, usage = run.response, run.context, run.response.usage
    now = time.perf_counter()
    waited = (run.answered_at or now) - run.called_at if run.called_at else 0.0
    return IndexEntry(
        id=response.id,
        project=context.project,
        created_at=response.created_at,
        request_id=context.request_id,
        model=response.model,
        status=status,
        error_code=error_code,
        stored=stored,
        stream=bool(run.request.params.stream),
        previous_response_id=response.previous_response_id or "",
        verdict="bypass",
        verdict_reason="no cache",
        backend=run.endpoint.name,
        input_tokens=usage.input_tokens if usage else 0,
        cached_tokens=usage.input_tokens_details.cached_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
        reasoning_tokens=usage.output_tokens_details.reasoning_tokens if usage else 0,
        request_bytes=context.request_bytes,
        response_bytes=response_bytes,
        duration_ms=(now - context.received) * 1000,
        first_token_ms=(run.first_token_at - context.received) * 1000 if run.first_token_at else None,
        gateway_ms=(now - context.received - waited) * 1000,
    )
