"""What workers do with background runs: make those that wait, look after those that nobody makes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import structlog
from msgspec import Raw

from responses_api import metrics
from responses_api.accounting import Accounting
from responses_api.background.attempt import Attempt, while_held
from responses_api.background.endings import Endings
from responses_api.background.shapes import (
    FIRST_LOOK_SECONDS,
    Ended,
    Nudge,
    Submitted,
    response_of,
    submitted_of,
)
from responses_api.config.schema import BackgroundConfig
from responses_api.engine import Engine
from responses_api.errors import RateLimited
from responses_api.event_log import patiently
from responses_api.places import Places
from responses_api.shapes import response as response_shape
from responses_api.shapes.ids import new_id
from responses_api.shapes.response import ResponseError
from responses_api.stored_responses import StoredResponses
from responses_api.stores import record
from responses_api.stores.redis_runs import RunState, RunView
from responses_api.vault import LockedAwayError

log = structlog.get_logger(__name__)

LONGEST_LOOK_SECONDS = 300.0
LOOKED_AFTER_AT_ONCE = 500


class NoPlace(Exception):
    """A run has to wait until another of its project has ended."""

    def __init__(self, priority: int) -> None:
        super().__init__(priority)
        self.priority = priority


@dataclass(slots=True)
class Recovered:
    """What `recover` found: runs to enqueue (again), and runs whose end has not been told yet."""

    nudges: list[Nudge]
    ended: list[Ended]


class BackgroundWorker:
    """One per event loop."""

    def __init__(
        self,
        config: BackgroundConfig,
        endings: Endings,
        engine: Engine,
        stored: StoredResponses,
        accounting: Accounting,
        places: Places,
    ) -> None:
        self._config = config
        self._endings = endings
        self._engine = engine
        self._stored = stored
        self._accounting = accounting
        self._places = places

    async def execute(self, response_id: str) -> Ended | None:
        """Makes the response, if it still waits to be made; None where it is another's, or there is none.

        Raises `NoPlace` where its project has as many runs as it may have at once: it goes on waiting.
        """
        view = await patiently(partial(self._endings.runs.look, response_id))
        if view is None or view.state is not RunState.QUEUED:
            return None
        waiting = submitted_of(view.context)
        try:
            async with self._places.holding(waiting.project, waiting.allowances, response_id):
                return await self._execute(response_id)
        except RateLimited:
            raise NoPlace(waiting.priority) from None

    async def _execute(self, response_id: str) -> Ended | None:
        runs, lease_seconds = self._endings.runs, self._config.lease_seconds
        token = new_id("lease")
        claim = await patiently(partial(runs.claim, response_id, token, lease_seconds))
        if claim is None:
            return None
        metrics.BACKGROUND_RUNS.labels("begun").inc()
        stored = record.decode_response(response_id, claim.record)
        submitted = submitted_of(claim.context)
        attempt = Attempt(self._engine, self._accounting, self._endings, stored, submitted, token, claim.next_sequence)
        await while_held(attempt.make(claim.request), partial(runs.renew, response_id, token, lease_seconds))
        return await self._endings.ended(submitted.project, response_id)

    async def recover(self, now: float) -> Recovered:
        """Looks after runs whose time has come; `now` in Unix seconds. Raises `StoreUnavailable`."""
        runs, found = self._endings.runs, Recovered([], [])
        for response_id in await runs.due(now, LOOKED_AFTER_AT_ONCE):
            try:
                view = await runs.look(response_id)
            except LockedAwayError as error:
                # Left to those who have its key; the others are looked after all the same.
                log.warning("background_run_locked_away", response_id=response_id, reason=error.message)
                await runs.watch(response_id, now + LONGEST_LOOK_SECONDS)
                continue
            if view is None:
                await runs.forget(response_id)
                continue
            submitted = submitted_of(view.context)
            due = now + await self._look_after(response_id, view, submitted, found)
            await runs.watch(response_id, due)
        return found

    async def forget(self, response_id: str) -> None:
        """Its end has been told to everyone who wanted to know."""
        await patiently(partial(self._endings.runs.forget, response_id))

    async def _look_after(self, response_id: str, view: RunView, submitted: Submitted, found: Recovered) -> float:
        """Does what the run's state asks for; seconds until the next look."""
        if view.state is RunState.FINISHED:
            ended = await self._endings.ended(submitted.project, response_id)
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
        response = response_of(stored.response)
        if view.outcome:
            written = record.decode_response(response_id, view.outcome)
            await self._endings.publish(written, view.token, view.next_sequence, submitted)
            return False
        may_repeat = view.attempts < self._config.max_attempts and not (submitted.streams and view.has_spoken)
        if may_repeat:
            response.status, response.output = "queued", []
            stored.response = Raw(response_shape.encode(response))
            log.warning("background_run_requeued", response_id=response_id, attempts=view.attempts)
            metrics.BACKGROUND_RUNS.labels("requeued").inc()
            return await self._endings.runs.requeue(response_id, view.token, record.encode(stored))
        reason = "it had streamed output already" if view.attempts < self._config.max_attempts else "tried too often"
        response.error = ResponseError("server_error", f"The worker was lost while it made this response; {reason}.")
        response.status = "failed"
        await self._endings.end(stored, response, view.token)
        return False
