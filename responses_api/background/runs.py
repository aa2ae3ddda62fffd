"""What the API does with background runs: submit, follow, cancel."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
from msgspec import UNSET

from responses_api import event_log, metrics
from responses_api.accounting import Accounting
from responses_api.background.endings import Endings
from responses_api.background.nudger import Nudger
from responses_api.background.shapes import FIRST_LOOK_SECONDS, UNFINISHED, Enqueue, Submitted, response_of
from responses_api.config.schema import BackgroundConfig
from responses_api.conversations import QUEUED_LOCK_SECONDS, Conversations
from responses_api.engine import Engine, record_of
from responses_api.errors import ApiError, InvalidRequest
from responses_api.event_log import to_logged
from responses_api.run import RequestContext, Run
from responses_api.shapes import events
from responses_api.shapes import response as response_shape
from responses_api.shapes.events import AnyEvent
from responses_api.shapes.request import CreateRequest
from responses_api.stored_responses import StoredResponses
from responses_api.stores.record import encode
from responses_api.stores.redis_runs import LoggedEvent, RedisRuns

_encode = msgspec.json.Encoder().encode


class BackgroundRuns:
    """One per event loop."""

    def __init__(
        self,
        config: BackgroundConfig,
        endings: Endings,
        engine: Engine,
        stored: StoredResponses,
        conversations: Conversations,
        accounting: Accounting,
        enqueue: Enqueue | None,
    ) -> None:
        self._config = config
        self._endings = endings
        self._engine = engine
        self._stored = stored
        self._conversations = conversations
        self._accounting = accounting
        self._nudger = Nudger(enqueue) if enqueue is not None else None

    async def submit(self, request: CreateRequest, body: bytes, context: RequestContext) -> bytes:
        """Stores the run as queued, and has a worker told; the queued response as JSON.

        What can be refused is refused now. Raises `ApiError`.
        """
        runs = self._endings.runs
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
        self._accounting.note(run, "queued")
        if self._nudger is not None:
            self._nudger.add((response.id, submitted.priority))
        metrics.BACKGROUND_RUNS.labels("submitted").inc()
        return encoded

    async def follow(self, project: str, response_id: str, after: int) -> AsyncIterator[list[LoggedEvent]]:
        """The events of a run behind number `after`, to its end. Raises `ApiError` before the first batch."""
        stored = await self._stored.get(project, response_id)
        response = response_of(stored.response)
        if not response.background or stored.streamed is not True:
            missing = "stream=true" if response.background else "background=true"
            raise InvalidRequest(
                f"This response cannot be streamed because it was not created with {missing}.", param="stream"
            )
        seen = after
        async for batch in event_log.follow(self._endings.runs, response_id, after):
            seen = batch[-1][0]
            yield batch
        if seen == -1:
            raise event_log.events_gone(response_id)

    async def cancel(self, project: str, response_id: str) -> bytes:
        """Ends a run; the response as JSON, with what had come. Its worker notices and stops. Raises `ApiError`."""
        stored = await self._stored.get(project, response_id)
        response = response_of(stored.response)
        if not response.background:
            raise InvalidRequest("Cannot cancel a synchronous response.", param="response_id")
        while response.status in UNFINISHED:
            response.status = "cancelled"
            if await self._endings.end(stored, response, "*"):
                break
            stored = await self._stored.get(project, response_id)
            response = response_of(stored.response)
        if response.status != "cancelled":
            raise InvalidRequest(f"Cannot cancel a {response.status} response.", param="response_id")
        return response_shape.encode(response)

    async def stop_before_delete(self, project: str, response_id: str) -> None:
        """A run whose response is to be deleted has nobody to work for."""
        stored = await self._stored.get(project, response_id)
        response = response_of(stored.response)
        if response.background and response.status in UNFINISHED:
            response.status = "cancelled"
            await self._endings.end(stored, response, "*")


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
