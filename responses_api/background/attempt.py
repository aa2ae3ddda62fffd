"""One worker's try at one run, and the lease that it holds meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import structlog
from msgspec import Raw

from responses_api.accounting import Accounting
from responses_api.background.endings import Endings
from responses_api.background.shapes import Submitted, response_of
from responses_api.engine import Engine
from responses_api.errors import ApiError, InvalidRequest, RateLimited, StoreUnavailable
from responses_api.event_log import LogWriter, LostRunError, patiently
from responses_api.run import RequestContext, Run
from responses_api.shapes import response as response_shape
from responses_api.shapes.events import AnyEvent
from responses_api.shapes.request import parse_create_request
from responses_api.shapes.response import ResponseError
from responses_api.stores.record import StoredResponse, encode

log = structlog.get_logger(__name__)

RENEW_SECONDS = 0.5
"""Also how soon a cancelled run stops."""
SNAPSHOT_SECONDS = 1.0
"""How often the record shows what has come so far."""


class Attempt:
    """One worker's try at one run."""

    def __init__(
        self,
        engine: Engine,
        accounting: Accounting,
        endings: Endings,
        stored: StoredResponse,
        submitted: Submitted,
        token: str,
        next_sequence: int,
    ) -> None:
        self._engine = engine
        self._accounting = accounting
        self._endings = endings
        self._runs = endings.runs
        self._stored = stored
        self._submitted = submitted
        self._token = token
        self._next_sequence = next_sequence
        self._writer = LogWriter(self._runs, stored.id, token)
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
        run = await self._engine.prepare(request, context, keep=self._keep, streams=True)
        run.response.created_at = submitted.created_at
        # What the log holds from before goes on; `response.created` was told when the run was queued.
        run.first_sequence = 1
        self._accounting.note(run, "in_progress")
        showing = asyncio.ensure_future(self._show_progress(run))
        try:
            async with aclosing(self._engine.stream(run)) as batches:  # type: ignore[type-var]
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
        await self._endings.publish(stored, self._token, self._next_sequence, self._submitted)

    async def _fail(self, error: ResponseError) -> None:
        """The response says why. What had been streamed stays."""
        try:
            await self._writer.drain()
        except (LostRunError, ApiError):
            return
        response = response_of(self._stored.response)
        response.status, response.error = "failed", error
        self._stored.response = Raw(response_shape.encode(response))
        await self._endings.publish(self._stored, self._token, self._next_sequence, self._submitted)
        if self._submitted.conversation_id:
            await self._endings.unlock(self._submitted.conversation_id, self._stored.id)


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


def _code_of(error: ApiError) -> str:
    """OpenAI's codes for a failed response."""
    if isinstance(error, RateLimited):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidRequest) else "server_error"
