"""Background runs: submitted by a web process, made by a worker, looked after by whoever is left.

queued → in_progress → completed | incomplete | failed | cancelled. A worker owns a run by a lease that it renews. When
it runs out, the run is begun again, or ended with a reason where its stream has said something already that cannot be
unsaid. Whoever ends a run writes its record and its last event in one step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import structlog
from msgspec import UNSET, Raw, Struct

from responses_api import event_log, metrics
from responses_api.accounting import Accounting
from responses_api.chain import CONTINUABLE
from responses_api.config.schema import BackgroundConfig
from responses_api.conversations import QUEUED_LOCK_SECONDS, Conversations, raw_pairs
from responses_api.engine import Engine, record_of
from responses_api.errors import ApiError, InvalidRequest, RateLimited, StoreUnavailable, UnsupportedParameter
from responses_api.event_log import LogWriter, LostRunError, patiently, to_logged
from responses_api.limits import Allowance
from responses_api.places import Places
from responses_api.run import RequestContext, Run
from responses_api.shapes import events
from responses_api.shapes import response as response_shape
from responses_api.shapes.events import AnyEvent
from responses_api.shapes.ids import new_id
from responses_api.shapes.request import CreateRequest, parse_create_request
from responses_api.shapes.response import Response, ResponseError
from responses_api.stored_responses import StoredResponses
from responses_api.stores.record import StoredResponse, decode_response, encode, items_of
from responses_api.stores.redis_runs import LoggedEvent, RedisRuns, RunState, RunView
from responses_api.translate.retold import output_told
from responses_api.translate.stream import terminal_event
from responses_api.vault import LockedAwayError

log = structlog.get_logger(__name__)

UNFINISHED = ("queued", "in_progress")
FIRST_LOOK_SECONDS = 5.0
"""After which a run is looked for that should have been claimed long ago."""
LONGEST_LOOK_SECONDS = 300.0
RENEW_SECONDS = 0.5
"""Also how soon a cancelled run stops."""
SNAPSHOT_SECONDS = 1.0
"""How often the record shows what has come so far."""
LOOKED_AFTER_AT_ONCE = 500

Nudge = tuple[str, int]
"""A response's id and its priority in the queue, 0 (first) to 9."""
Enqueue = Callable[[Sequence[Nudge]], None]
"""Puts runs into the workers' queue; blocks, and may raise anything. Lost nudges are repeated."""


class Submitted(Struct):
    """What a worker needs to know of the request, beside its body."""

    project: str
    request_id: str
    request_bytes: int
    created_at: int
    streams: bool
    priority: int
    conversation_id: str | None = None
    nudges: int = 0
    allowances: tuple[Allowance, ...] = ()


class NoPlace(Exception):
    """A run has to wait until another of its project has ended."""

    def __init__(self, priority: int) -> None:
        super().__init__(priority)
        self.priority = priority


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over; `at` in Unix seconds."""

    project: str
    response_id: str
    status: str
    at: float


@dataclass(slots=True)
class Recovered:
    """What `recover` found: runs to enqueue (again), and runs whose end has not been told yet."""

    nudges: list[Nudge]
    ended: list[Ended]


_submitted_decoder = msgspec.json.Decoder(Submitted)
_response_decoder = msgspec.json.Decoder(Response)
_decode_event = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class BackgroundRuns:
    """One per event loop, in web processes and workers alike; without Redis `runs` is None and nothing is accepted."""

    def __init__(
        self,
        config: BackgroundConfig,
        runs: RedisRuns | None,
        engine: Engine,
        stored: StoredResponses,
        conversations: Conversations,
        accounting: Accounting,
        places: Places,
        enqueue: Enqueue | None,
    ) -> None:
        self._places = places
        self._config = config
        self._available = runs
        self._engine = engine
        self._stored = stored
        self._conversations = conversations
        self._accounting = accounting
        self._nudger = Nudger(enqueue) if enqueue is not None else None

    # -- for the API ---------------------------------------------------------------------------------------------

    async def submit(self, request: CreateRequest, body: bytes, context: RequestContext) -> bytes:
        """Stores the run as queued, and has a worker told; the queued response as JSON.

        What can be refused is refused now. Raises `ApiError`.
        """
        runs = self._runs
        run = await self._engine.check(request, context)
        response, streams = run.response, bool(request.params.stream)
        response.status = "queued"
        submitted = Submitted(
            project=context.project,
            request_id=context.request_id,
            request_bytes=context.request_bytes,
            created_at=response.created_at,
            streams=streams,
            priority=self._config.tier_priorities.get(request.params.service_tier or "auto", 3),
            conversation_id=request.conversation_id,
            allowances=tuple(context.allowances),
        )
        if request.conversation_id:
            await self._conversations.lock(request.conversation_id, response.id, QUEUED_LOCK_SECONDS)
        try:
            encoded = response_shape.encode(response)
            await _store_queued(runs, run, encoded, body, submitted)
        except BaseException:
            if request.conversation_id:
                await self._conversations.unlock(request.conversation_id, response.id)
            raise
        self.note(run, "queued")
        if self._nudger is not None:
            self._nudger.add((response.id, submitted.priority))
        metrics.BACKGROUND_RUNS.labels("submitted").inc()
        return encoded

    async def follow(self, project: str, response_id: str, after: int) -> AsyncIterator[list[LoggedEvent]]:
        """The events of a run behind number `after`, to its end. Raises `ApiError` before the first batch."""
        stored = await self._stored.get(project, response_id)
        response = _response_decoder.decode(stored.response)
        if not response.background or stored.streamed is not True:
            missing = "stream=true" if response.background else "background=true"
            raise InvalidRequest(
                f"This response cannot be streamed because it was not created with {missing}.", param="stream"
            )
        seen = after
        async for batch in event_log.follow(self._runs, response_id, after):
            seen = batch[-1][0]
            yield batch
        if seen == -1:
            raise event_log.events_gone(response_id)

    async def cancel(self, project: str, response_id: str) -> bytes:
        """Ends a run; the response as JSON, with what had come. Its worker notices and stops. Raises `ApiError`."""
        stored = await self._stored.get(project, response_id)
        response = _response_decoder.decode(stored.response)
        if not response.background:
            raise InvalidRequest("Cannot cancel a synchronous response.", param="response_id")
        while response.status in UNFINISHED:
            response.status = "cancelled"
            if await self._end(stored, response, "*"):
                break
            stored = await self._stored.get(project, response_id)
            response = _response_decoder.decode(stored.response)
        if response.status != "cancelled":
            raise InvalidRequest(f"Cannot cancel a {response.status} response.", param="response_id")
        return response_shape.encode(response)

    async def stop_before_delete(self, project: str, response_id: str) -> None:
        """A run whose response is to be deleted has nobody to work for."""
        stored = await self._stored.get(project, response_id)
        response = _response_decoder.decode(stored.response)
        if response.background and response.status in UNFINISHED:
            response.status = "cancelled"
            await self._end(stored, response, "*")

    # -- for workers ---------------------------------------------------------------------------------------------

    async def execute(self, response_id: str) -> Ended | None:
        """Makes the response, if it still waits to be made; None where it is another's, or there is none.

        Raises `NoPlace` where its project has as many runs as it may have at once: it goes on waiting.
        """
        view = await patiently(partial(self._runs.look, response_id))
        if view is None or view.state is not RunState.QUEUED:
            return None
        waiting = _submitted_decoder.decode(view.context)
        try:
            async with self._places.holding(waiting.project, waiting.allowances, response_id):
                return await self._execute(response_id)
        except RateLimited:
            raise NoPlace(waiting.priority) from None

    async def _execute(self, response_id: str) -> Ended | None:
        token = new_id("lease")
        claim = await patiently(partial(self._runs.claim, response_id, token, self._config.lease_seconds))
        if claim is None:
            return None
        metrics.BACKGROUND_RUNS.labels("begun").inc()
        stored = decode_response(response_id, claim.record)
        submitted = _submitted_decoder.decode(claim.context)
        attempt = _Attempt(self, self._runs, stored, submitted, token, claim.next_sequence)
        renew = partial(self._runs.renew, response_id, token, self._config.lease_seconds)
        await while_held(attempt.make(claim.request), renew)
        return await self._ended(submitted.project, response_id)

    async def recover(self, now: float) -> Recovered:
        """Looks after runs whose time has come; `now` in Unix seconds. Raises `StoreUnavailable`."""
        found = Recovered([], [])
        for response_id in await self._runs.due(now, LOOKED_AFTER_AT_ONCE):
            try:
                view = await self._runs.look(response_id)
            except LockedAwayError as error:
                # Left to those who have its key; the others are looked after all the same.
                log.warning("background_run_locked_away", response_id=response_id, reason=error.message)
                await self._runs.watch(response_id, now + LONGEST_LOOK_SECONDS)
                continue
            if view is None:
                await self._runs.forget(response_id)
                continue
            submitted = _submitted_decoder.decode(view.context)
            due = now + await self._look_after(response_id, view, submitted, found)
            await self._runs.watch(response_id, due)
        return found

    async def forget(self, response_id: str) -> None:
        """Its end has been told to everyone who wanted to know."""
        await patiently(partial(self._runs.forget, response_id))

    async def _look_after(self, response_id: str, view: RunView, submitted: Submitted, found: Recovered) -> float:
        """Does what the run's state asks for; seconds until the next look."""
        if view.state is RunState.FINISHED:
            ended = await self._ended(submitted.project, response_id)
            if ended is not None:
                found.ended.append(ended)
            return FIRST_LOOK_SECONDS
        if view.state is RunState.QUEUED:
            found.nudges.append((response_id, submitted.priority))
            age = time.time() - submitted.created_at
            return min(max(FIRST_LOOK_SECONDS, age), LONGEST_LOOK_SECONDS)
        if view.state is RunState.LOST and await self._take_from_lost(response_id, view, submitted):
            found.nudges.append((response_id, submitted.priority))
            return FIRST_LOOK_SECONDS
        return 1.0 if view.state is not RunState.RUNNING else self._config.lease_seconds

    async def _take_from_lost(self, response_id: str, view: RunView, submitted: Submitted) -> bool:
        """A worker died over it: ends the run, or lets it wait for another. Does it wait?"""
        stored = await self._stored.get(submitted.project, response_id)
        response = _response_decoder.decode(stored.response)
        if view.outcome:
            await self.publish(decode_response(response_id, view.outcome), view.token, view.next_sequence, submitted)
            return False
        may_repeat = view.attempts < self._config.max_attempts and not (submitted.streams and view.has_spoken)
        if may_repeat:
            response.status, response.output = "queued", []
            stored.response = Raw(response_shape.encode(response))
            log.warning("background_run_requeued", response_id=response_id, attempts=view.attempts)
            metrics.BACKGROUND_RUNS.labels("requeued").inc()
            return await self._runs.requeue(response_id, view.token, encode(stored))
        reason = "it had streamed output already" if view.attempts < self._config.max_attempts else "tried too often"
        response.error = ResponseError("server_error", f"The worker was lost while it made this response; {reason}.")
        response.status = "failed"
        await self._end(stored, response, view.token)
        return False

    # -- endings -------------------------------------------------------------------------------------------------

    async def publish(self, stored: StoredResponse, token: str, next_sequence: int, submitted: Submitted) -> None:
        """Makes a finished run's end known: conversation first, then record and last event at once.

        Written ahead, so that whoever comes after a crash in between goes on with this end and makes no other.
        """
        response = _response_decoder.decode(stored.response)
        if submitted.conversation_id and response.status in CONTINUABLE:
            pairs = raw_pairs(items_of(stored))
            await patiently(partial(self._conversations.append, submitted.conversation_id, pairs, stored.id))
        event = to_logged(terminal_event(response, next_sequence)) if submitted.streams else None
        await patiently(partial(self._runs.close, stored.id, token, encode(stored), event))
        metrics.BACKGROUND_RUNS.labels(response.status).inc()

    async def _end(self, stored: StoredResponse, response: Response, token: str) -> bool:
        """Ends a run from outside, with the response as it is now. False: it had ended already."""
        closed, context = None, b""
        while closed is None:
            view = await self._runs.look(stored.id)
            if view is None or view.state is RunState.FINISHED:
                return False
            expected, context = view.next_sequence, view.context
            if stored.streamed is True:
                await self._show_what_was_told(response, expected)
            stored.response = Raw(response_shape.encode(response))
            event = to_logged(terminal_event(response, expected)) if stored.streamed is True else None
            closed = await self._runs.close(stored.id, token, encode(stored), event, expected_next=expected)
        if closed:
            metrics.BACKGROUND_RUNS.labels(response.status).inc()
            if response.conversation is not None:
                await self._conversations.unlock(response.conversation.id, stored.id)
            submitted = _submitted_decoder.decode(context)
            self._accounting.note_end(stored, response, submitted.request_id, submitted.request_bytes)
            # Whoever looks after runs tells of the end.
            await self._runs.watch(stored.id, time.time())
        return closed

    async def _show_what_was_told(self, response: Response, until: int) -> None:
        """The record lags behind the stream; whoever read that must not find less."""
        told = await event_log.told(self._runs, response.id, until)
        if told is None:
            return
        response.output = output_told(map(_decode_event, told))
        for item in response.output:
            if response.status == "failed" and item.get("status") == "in_progress":
                item["status"] = "incomplete"

    async def _ended(self, project: str, response_id: str) -> Ended | None:
        try:
            stored = await patiently(partial(self._stored.get, project, response_id))
        except ApiError:  # deleted meanwhile
            return None
        response = _response_decoder.decode(stored.response)
        if response.status in UNFINISHED:
            return None
        return Ended(project, response_id, response.status, time.time())

    @property
    def _runs(self) -> RedisRuns:
        if self._available is None:
            raise UnsupportedParameter(
                "Background responses need 'response_api.store_backend: redis': another process makes them.",
                "background",
            )
        return self._available

    @property
    def engine(self) -> Engine:
        return self._engine

    def note(self, run: Run, status: str) -> None:
        """For the index: where a run stands that has not ended."""
        self._accounting.note(run, status)

    async def unlock(self, conversation_id: str, response_id: str) -> None:
        """Gives back the lock of a run that adds nothing."""
        await patiently(partial(self._conversations.unlock, conversation_id, response_id))


class _Attempt:
    """One worker's try at one run."""

    def __init__(
        self,
        background: BackgroundRuns,
        runs: RedisRuns,
        stored: StoredResponse,
        submitted: Submitted,
        token: str,
        next_sequence: int,
    ) -> None:
        self._background = background
        self._runs = runs
        self._stored = stored
        self._submitted = submitted
        self._token = token
        self._next_sequence = next_sequence
        self._writer = LogWriter(runs, stored.id, token)
        self._has_news = False
        self._finished: StoredResponse | None = None

    async def make(self, body: bytes) -> None:
        """Every failure but the loss of the run becomes the response's own."""
        try:
            await self._make(body)
        except LostRunError:
            log.info("background_run_lost", response_id=self._stored.id)
        except ApiError as error:
            await self._fail(ResponseError(_code_of(error), error.message))
        except Exception as error:
            log.error("background_run_failed", response_id=self._stored.id, exc_info=error)
            await self._fail(ResponseError("server_error", "The gateway failed on this run; its log has the reason."))
        finally:
            self._writer.abandon()

    async def _make(self, body: bytes) -> None:
        submitted = self._submitted
        request = parse_create_request(body, self._stored.id)
        waited = time.time() - submitted.created_at
        context = RequestContext(
            submitted.project,
            submitted.request_id,
            time.perf_counter() - waited,
            submitted.request_bytes,
            allowances=submitted.allowances,
        )
        run = await self._background.engine.prepare(request, context, keep=self._keep, streams=True)
        run.response.created_at = submitted.created_at
        # What the log holds from before goes on; `response.created` was told when the run was queued.
        run.first_sequence = 1
        self._background.note(run, "in_progress")
        showing = asyncio.ensure_future(self._show_progress(run))
        try:
            async with aclosing(self._background.engine.stream(run)) as batches:  # type: ignore[type-var]
                async for batch in batches:
                    if self._finished is not None:
                        break
                    self._tell(run, batch)
        finally:
            showing.cancel()
        assert self._finished is not None  # noqa: S101 - a stream that ends has recorded its response
        await self._finish(self._finished)

    def _tell(self, run: Run, batch: list[AnyEvent]) -> None:
        if self._submitted.streams:
            new = [event for event in batch if event.sequence_number >= self._next_sequence]
            if new:
                self._next_sequence = new[-1].sequence_number + 1
            has_spoken = run.translator is not None and run.translator.has_output
            self._writer.add(new, has_spoken=has_spoken)
        self._has_news = True

    async def _show_progress(self, run: Run) -> None:
        """Keeps the record as far as the answer has come, while this attempt owns the run."""
        owned = True
        while owned:
            if self._has_news and run.translator is not None:
                self._has_news = False
                shown, run.response.output = run.response.output, run.translator.snapshot()
                self._stored.response = Raw(response_shape.encode(run.response))
                run.response.output = shown
                owned = await patiently(partial(self._runs.update, self._stored.id, self._token, encode(self._stored)))
            await asyncio.sleep(SNAPSHOT_SECONDS)

    async def _keep(self, stored: StoredResponse) -> None:
        stored.streamed = self._stored.streamed
        self._finished = stored

    async def _finish(self, stored: StoredResponse) -> None:
        await self._writer.drain()
        if self._submitted.conversation_id:
            record = encode(stored)
            if not await patiently(partial(self._runs.write_ahead, stored.id, self._token, record)):
                raise LostRunError
        await self._background.publish(stored, self._token, self._next_sequence, self._submitted)

    async def _fail(self, error: ResponseError) -> None:
        """The response says why. What had been streamed stays."""
        try:
            await self._writer.drain()
        except (LostRunError, ApiError):
            return
        response = _response_decoder.decode(self._stored.response)
        response.status, response.error = "failed", error
        self._stored.response = Raw(response_shape.encode(response))
        await self._background.publish(self._stored, self._token, self._next_sequence, self._submitted)
        if self._submitted.conversation_id:
            await self._background.unlock(self._submitted.conversation_id, self._stored.id)


async def while_held(making: Coroutine[Any, Any, None], renew: Callable[[], Awaitable[bool]]) -> None:
    """Awaits `making` while the lease is renewed; stops it when the lease turns out to be lost."""
    task = asyncio.ensure_future(making)
    try:
        while not (await asyncio.wait({task}, timeout=RENEW_SECONDS))[0]:
            with suppress(StoreUnavailable):  # while it is away nobody else can take the run
                if not await renew():
                    break
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


class Nudger:
    """Has runs enqueued from a thread: publishing blocks for up to milliseconds. Gathers what comes meanwhile."""

    def __init__(self, enqueue: Enqueue) -> None:
        self._enqueue = enqueue
        self._waiting: list[Nudge] = []
        self._publishing: asyncio.Task[None] | None = None

    def add(self, nudge: Nudge) -> None:
        self._waiting.append(nudge)
        if self._publishing is None:
            self._publishing = asyncio.ensure_future(self._publish())

    async def _publish(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await asyncio.to_thread(self._enqueue, batch)
        except Exception as error:  # noqa: BLE001 - whoever looks after runs nudges again
            metrics.NUDGES_LOST.inc()
            log.warning("background_run_not_enqueued", reason=str(error) or type(error).__name__)
        finally:
            self._publishing = None


async def _store_queued(runs: RedisRuns, run: Run, encoded: bytes, body: bytes, submitted: Submitted) -> None:
    stored = record_of(run, encoded)
    stored.streamed = submitted.streams or UNSET
    # Watched first: should we die in between, there is nothing to find, which is soon found out.
    await runs.watch(stored.id, time.time() + FIRST_LOOK_SECONDS)
    if not await runs.submit(stored.id, encode(stored), body, _encode(submitted)):
        raise ApiError(f"The response id '{stored.id}' is taken.", code="id_conflict")
    if submitted.streams:
        first: list[AnyEvent] = [
            events.Created(sequence_number=0, response=run.response),
            events.Queued(sequence_number=1, response=run.response),
        ]
        await runs.log_first(stored.id, [to_logged(event) for event in first])


def _code_of(error: ApiError) -> str:
    """OpenAI's codes for a failed response."""
    if isinstance(error, RateLimited):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidRequest) else "server_error"
