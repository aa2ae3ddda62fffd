"""One request, start to finish: history → backend → translate → store.

`prepare` resolves the past and picks the endpoint; then either `complete` (one JSON answer) or `stream` (events).
A response is stored before its end is told, so that a follow-up right behind it finds it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw

from responses_api.accounting import Accounting
from responses_api.answers import failure_of, read_events, read_whole
from responses_api.backends.client import BackendClient, Call
from responses_api.backends.failover import first_answer
from responses_api.backends.fleet import Fleet
from responses_api.backends.registry import Endpoint
from responses_api.chain import CONTINUABLE
from responses_api.compaction import DEFAULT_THRESHOLD_TOKENS, Compactor, estimated_tokens
from responses_api.config.schema import RouterConfig
from responses_api.conversations import Conversations, raw_pairs
from responses_api.errors import ApiError, InvalidRequest
from responses_api.history import History
from responses_api.prompts import Prompts, prompt_of
from responses_api.run import Keep, RequestContext, Run
from responses_api.sealed_items import SealedItems
from responses_api.shapes import response as response_shape
from responses_api.shapes.events import AnyEvent, obfuscate
from responses_api.shapes.request import CreateRequest
from responses_api.shapes.response import ResponseError
from responses_api.stored_responses import StoredResponses
from responses_api.stores.base import Store
from responses_api.stores.record import StoredResponse, items_of
from responses_api.translate import dialects
from responses_api.translate.dialect import Dialect, Prompt, Seal, Translator
from responses_api.translate.outcome import Outcome, conclude
from responses_api.translate.stream import terminal_event
from responses_api.translate.truncation import kept_after

T = TypeVar("T")
MAX_TRUNCATIONS = 6
_encode = msgspec.json.Encoder().encode


class Engine:
    """Shared by all requests of an event loop; holds no state of any of them."""

    def __init__(
        self,
        config: RouterConfig,
        store: Store,
        stored: StoredResponses,
        conversations: Conversations,
        prompts: Prompts,
        sealed: SealedItems,
        fleet: Fleet,
        client: BackendClient,
        accounting: Accounting,
    ) -> None:
        self._inherit_instructions = config.response_api.inherit_instructions
        self._store = store
        self._stored = stored
        self._conversations = conversations
        self._prompts = prompts
        self._sealed = sealed
        self._fleet = fleet
        self._client = client
        self._accounting = accounting
        self._compactor = Compactor(sealed, self.ask)

    def _choose(self, request: CreateRequest, before: History) -> Sequence[Endpoint]:
        """Who is to serve it, best first. Raises `ModelNotFound`, and `InvalidRequest` for what none of them can do."""
        candidates = self._fleet.candidates(request.model, before.served_by, request.conversation_id or "")
        if len(candidates) == 1:
            dialects.of(candidates[0].api).check(request)
            return candidates
        able, refusal = [], None
        for endpoint in candidates:
            try:
                dialects.of(endpoint.api).check(request)
            except InvalidRequest as error:
                refusal = error
            else:
                able.append(endpoint)
        if refusal is not None and not able:
            raise refusal
        return able

    async def prepare(
        self,
        request: CreateRequest,
        context: RequestContext,
        *,
        before: History | None = None,
        keep: Keep | None = None,
        streams: bool | None = None,
    ) -> Run:
        """Everything that can be refused before the backend is troubled. Raises `ApiError`.

        `before` is a history that the caller knows already; `keep` takes the record in place of the store, and then
        the conversation's lock is the caller's too; `streams` asks the backend for a stream whatever the client wants.
        """
        if request.conversation_id is None or not request.store or keep is not None:
            return await self._prepare(request, context, before, keep, streams)
        # Locked before its items are read: what they are then is what this response adds to.
        await self._conversations.get(context.project, request.conversation_id)
        await self._conversations.lock(request.conversation_id, request.response_id)
        try:
            return await self._prepare(request, context, before, keep, streams)
        except BaseException:
            await self._conversations.unlock(request.conversation_id, request.response_id)
            raise

    async def check(
        self,
        request: CreateRequest,
        context: RequestContext,
        before: History | None = None,
        *,
        with_raw: bool = False,
    ) -> Run:
        """The run as far as it can be made without asking a backend for anything. Raises `ApiError`.

        `with_raw` has the prompt's items as JSON too, whether or not the backend wants them so.
        """
        self._fleet.registry.endpoints_for(request.model)  # a model that nobody serves is said first
        if request.store and not self._store.healthy:
            await self._store.ping()
        if before is None:
            previous = request.params.previous_response_id
            before = await self._prompts.read_history(context.project, previous, request.conversation_id)
        candidates = self._choose(request, before)
        request.served_as = self._fleet.registry.served_as(request.model)
        instructions = request.params.instructions
        if instructions is None and self._inherit_instructions:
            instructions = before.instructions
        endpoint, dialect = candidates[0], dialects.of(candidates[0].api)
        needs_raw = dialect.needs_raw_items or any(dialects.of(each.api).needs_raw_items for each in candidates[1:])
        with_raw = with_raw or needs_raw or request.params.context_management is not None
        prompt = await self._prompts.assemble(context.project, request, before, instructions, with_raw=with_raw)
        response = response_shape.in_progress(request, int(time.time()), instructions)
        run = Run(request, context, before, endpoint, dialect, prompt, response, streams=bool(request.params.stream))
        run.candidates = candidates
        self._encode_body(run)
        return run

    async def complete(self, run: Run) -> bytes:
        """The finished response as JSON, stored where asked. Raises `ApiError`."""
        with self.following(run):
            run.called_at = time.perf_counter()
            outcome = await self._ask_first(run, self._read_whole)
            run.answered_at = time.perf_counter()
            outcome.output[:0] = run.made
            self._conclude(run, outcome)
            return await self._record(run)

    async def stream(self, run: Run) -> AsyncIterator[list[AnyEvent]]:
        """The run's events, a batch for each packet of the backend; encode a batch before asking for the next.

        Raises `ApiError` before the first batch only; a later failure is a `response.failed` event.
        """
        with self.following(run):
            run.called_at = time.perf_counter()
            async with await self._ask_first(run, _begin_stream) as call:
                translator = run.translator = run.dialect.translator(run.response, self._seal(run), run.first_sequence)
                yield translator.start() + [event for item in run.made for event in translator.add_item(item)]
                try:
                    async for produced in read_events(run, translator, call.packets()):
                        if run.request.wants_obfuscation:
                            obfuscate(produced)
                        yield produced
                    produced, outcome = translator.finish()
                except Exception as error:  # noqa: BLE001 - a stream that has begun must end in words
                    produced, outcome = [], translator.fail(failure_of(run, error))
                run.answered_at = time.perf_counter()
            if produced:
                yield produced
            await self._conclude_stream(run, translator, outcome)
            yield [translator.terminal()]

    async def warm_up(self, run: Run) -> AsyncIterator[list[AnyEvent]]:
        """The events of a response without output, to be gone on from; no backend is asked. Raises `ApiError`."""
        translator = run.dialect.translator(run.response, None, run.first_sequence)
        with self.following(run):
            yield translator.start()
            self._conclude(run, Outcome())
            await self._record(run)
            yield [translator.terminal()]

    async def replay(self, run: Run, outcome: Outcome) -> bytes:
        """The finished response as JSON, of what was answered before; no backend is asked. Raises `ApiError`."""
        with self.following(run):
            self._conclude(run, outcome)
            return await self._record(run)

    async def conclude_replay(self, run: Run, outcome: Outcome, number: int) -> AnyEvent:
        """The same for a stream whose events are told already; its last event, which has this number."""
        self._conclude(run, outcome)
        try:
            await self._record(run)
        except ApiError as error:
            self._conclude(run, Outcome(outcome.output, error=ResponseError("server_error", error.message)))
            self._accounting.settle(run, "failed", error_code=error.code or error.type)
        return terminal_event(run.response, number)

    async def ask(self, request: CreateRequest, prompt: Prompt, endpoint: Endpoint, dialect: Dialect) -> Outcome:
        """One question aside, of which nothing stays. Raises `ApiError`."""
        request.served_as = self._fleet.registry.served_as(request.model)
        body = dialect.encode(request, prompt, stream=False, max_tokens_field=endpoint.max_tokens_field)
        response = response_shape.in_progress(request, int(time.time()), None)
        run = Run(request, RequestContext("", ""), History(), endpoint, dialect, prompt, response, body)
        async with self._client.call(endpoint, dialect.path, body) as call:
            return read_whole(run, await call.read_json(), None)

    async def _prepare(
        self,
        request: CreateRequest,
        context: RequestContext,
        before: History | None,
        keep: Keep | None,
        streams: bool | None,
    ) -> Run:
        run = await self.check(request, context, before)
        run.keep = keep
        if streams is not None and streams != run.streams:
            run.streams = streams
            self._encode_body(run)
        if request.params.context_management is not None:
            await self._compact(run)
        return run

    def _encode_body(self, run: Run) -> None:
        run.body = run.dialect.encode(
            run.request, run.prompt, stream=run.streams, max_tokens_field=run.endpoint.max_tokens_field
        )

    async def _compact(self, run: Run) -> None:
        """Replaces what came before the newest turn by a summary, once it has grown past the threshold."""
        management = run.request.params.context_management or ()
        threshold = min(each.compact_threshold or DEFAULT_THRESHOLD_TOKENS for each in management)
        if estimated_tokens(run.body) < threshold:
            return
        project = run.context.project
        compaction = await self._compactor.compact_history(project, run.request, run.prompt, run.endpoint, run.dialect)
        if compaction is None:
            return
        raw = self._sealed.open_raw(project, [Raw(_encode(item)) for item in compaction.items])
        run.prompt = prompt_of(raw, run.prompt.instructions)
        run.made, run.made_usage = compaction.items, compaction.usage
        self._encode_body(run)

    async def _ask_first(self, run: Run, take: Callable[[Run, Call], Awaitable[T]]) -> T:
        """What `take` makes of the first candidate's answer that it can be made of.

        With `truncation: auto` what is too long for it is made shorter.
        """
        for _ in range(MAX_TRUNCATIONS if run.request.params.truncation == "auto" else 0):
            try:
                return await self._ask_any(run, take)
            except InvalidRequest as error:
                if error.code != "context_length_exceeded" or not self._shorten(run, error.message):
                    raise
        return await self._ask_any(run, take)

    async def _ask_any(self, run: Run, take: Callable[[Run, Call], Awaitable[T]]) -> T:
        async def ask(endpoint: Endpoint) -> T:
            run.tries += 1
            if endpoint is not run.endpoint:
                run.endpoint, run.dialect = endpoint, dialects.of(endpoint.api)
                self._encode_body(run)
            return await take(run, self._client.call(endpoint, run.dialect.path, run.body, run.context.deadline))

        return await first_answer(self._fleet, run.request.model, run.candidates, ask, run.context.request_id)

    async def _read_whole(self, run: Run, call: Call) -> Outcome:
        async with call:
            return read_whole(run, await call.read_json(), self._seal(run))

    def _shorten(self, run: Run, refusal: str) -> bool:
        """Drops the oldest turns. Was there any to drop?"""
        items, raw = run.prompt.items, run.prompt.raw_items
        kept = kept_after(items, refusal, run.request.params.max_output_tokens or 0)
        if len(kept) == len(items):
            return False
        run.dropped_items += len(items) - len(kept)
        run.response.truncated_items = run.dropped_items
        run.prompt = Prompt(
            [items[place] for place in kept], run.prompt.instructions, [raw[place] for place in kept] if raw else ()
        )
        self._encode_body(run)
        return True

    def following(self, run: Run) -> AbstractContextManager[None]:
        """The index hears how the run ended; a conversation it has locked stays so no longer than the run."""
        if run.request.conversation_id is None or not run.request.store or run.keep is not None:
            return self._accounting.following(run)
        return self._following_with_lock(run, run.request.conversation_id)

    @contextmanager
    def _following_with_lock(self, run: Run, conversation_id: str) -> Iterator[None]:
        with self._accounting.following(run), self._conversations.holding(conversation_id, run.response.id):
            yield

    def _conclude(self, run: Run, outcome: Outcome) -> None:
        if run.made_usage is not None:
            outcome.usage = run.made_usage + outcome.usage if outcome.usage else run.made_usage
        conclude(run.response, outcome, int(time.time()))

    async def _conclude_stream(self, run: Run, translator: Translator, outcome: Outcome) -> None:
        """Stores the response; what cannot be stored has failed, and its client is told so."""
        self._conclude(run, outcome)
        try:
            await self._record(run)
        except ApiError as error:
            self._conclude(run, translator.fail(ResponseError("server_error", error.message)))
            self._accounting.settle(run, "failed", error_code=error.code or error.type)

    async def _record(self, run: Run) -> bytes:
        """Stores the concluded response where asked, and tells the index in the same pipeline."""
        response = run.response
        encoded = response_shape.encode(response)
        error_code = response.error.code if response.error else ""
        if run.witness is not None:
            run.witness(run, encoded)
        if not run.request.store:
            self._accounting.settle(run, response.status, error_code=error_code, response_bytes=len(encoded))
            return encoded
        stored = record_of(run, encoded)
        creating = run.keep(stored) if run.keep is not None else self._keep(run, stored)
        self._accounting.settle(run, response.status, error_code=error_code, stored=True, response_bytes=len(encoded))
        await creating
        return encoded

    async def _keep(self, run: Run, stored: StoredResponse) -> None:
        if run.request.conversation_id and run.response.status in CONTINUABLE:
            await self._conversations.append(run.request.conversation_id, raw_pairs(items_of(stored)), stored.id)
        await self._stored.create(stored)

    def _seal(self, run: Run) -> Seal | None:
        return self._sealed.reasoning_seal(run.context.project) if run.request.wants_encrypted_reasoning else None


async def _begin_stream(_: Run, call: Call) -> Call:
    return await call.open_stream()


def record_of(run: Run, encoded: bytes) -> StoredResponse:
    """What stays of a run; `encoded` is its response."""
    return StoredResponse(
        id=run.response.id,
        previous_response_id=run.response.previous_response_id or "",
        project=run.context.project,
        created_at=run.response.created_at,
        depth=run.history.depth,
        ancestors=run.history.ancestors,
        input=Raw(_encode(run.request.items)),
        response=Raw(encoded),
        served_by=run.endpoint.name if len(run.candidates) > 1 else UNSET,
    )
