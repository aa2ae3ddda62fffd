"""How a run ends, whoever ends it."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw

from responses_api import event_log, metrics
from responses_api.accounting import Accounting
from responses_api.background.shapes import UNFINISHED, Ended, Submitted, response_of, submitted_of
from responses_api.chain import CONTINUABLE
from responses_api.conversations import Conversations, raw_pairs
from responses_api.errors import ApiError, UnsupportedParameter
from responses_api.event_log import patiently, to_logged
from responses_api.shapes import response as response_shape
from responses_api.shapes.response import Response
from responses_api.stored_responses import StoredResponses
from responses_api.stores.record import StoredResponse, encode, items_of
from responses_api.stores.redis_runs import RedisRuns, RunState
from responses_api.translate.retold import output_told
from responses_api.translate.stream import terminal_event

_decode_event = msgspec.json.Decoder(dict[str, Any]).decode


class Endings:
    """One per event loop; without `runs` (there is no Redis) everything is refused."""

    def __init__(
        self,
        runs: RedisRuns | None,
        stored: StoredResponses,
        conversations: Conversations,
        accounting: Accounting,
    ) -> None:
        self._runs = runs
        self._stored = stored
        self._conversations = conversations
        self._accounting = accounting

    @property
    def runs(self) -> RedisRuns:
        """Raises `UnsupportedParameter`."""
        if self._runs is None:
            raise UnsupportedParameter(
                "Background responses need 'response_api.store_backend: redis': another process makes them.",
                "background",
            )
        return self._runs

    async def publish(self, stored: StoredResponse, token: str, next_sequence: int, submitted: Submitted) -> None:
        """Makes a finished run's end known: conversation first, then record and last event at once.

        Written ahead, so that whoever comes after a crash in between goes on with this end and makes no other.
        """
        response = response_of(stored.response)
        if submitted.conversation_id and response.status in CONTINUABLE:
            pairs = raw_pairs(items_of(stored))
            await patiently(partial(self._conversations.append, submitted.conversation_id, pairs, stored.id))
        event = to_logged(terminal_event(response, next_sequence)) if submitted.streams else None
        await patiently(partial(self.runs.close, stored.id, token, encode(stored), event))
        metrics.BACKGROUND_RUNS.labels(response.status).inc()

    async def end(self, stored: StoredResponse, response: Response, token: str) -> bool:
        """Ends a run from outside, with the response as it is now. False: it had ended already."""
        closed, context = None, b""
        while closed is None:
            view = await self.runs.look(stored.id)
            if view is None or view.state is RunState.FINISHED:
                return False
            expected, context = view.next_sequence, view.context
            if stored.streamed is True:
                await self._show_what_was_told(response, expected)
            stored.response = Raw(response_shape.encode(response))
            event = to_logged(terminal_event(response, expected)) if stored.streamed is True else None
            closed = await self.runs.close(stored.id, token, encode(stored), event, expected_next=expected)
        if closed:
            metrics.BACKGROUND_RUNS.labels(response.status).inc()
            if response.conversation is not None:
                await self._conversations.unlock(response.conversation.id, stored.id)
            submitted = submitted_of(context)
            self._accounting.note_end(stored, response, submitted.request_id, submitted.request_bytes)
            # Whoever looks after runs tells of the end.
            await self.runs.watch(stored.id, time.time())
        return closed

    async def ended(self, project: str, response_id: str) -> Ended | None:
        """How a run has ended; None: it has not, or its response was deleted."""
        try:
            stored = await patiently(partial(self._stored.get, project, response_id))
        except ApiError:  # deleted meanwhile
            return None
        response = response_of(stored.response)
        if response.status in UNFINISHED:
            return None
        return Ended(project, response_id, response.status, time.time())

    async def unlock(self, conversation_id: str, response_id: str) -> None:
        """Gives back the lock of a run that adds nothing."""
        await patiently(partial(self._conversations.unlock, conversation_id, response_id))

    async def _show_what_was_told(self, response: Response, until: int) -> None:
        """The record lags behind the stream; whoever read that must not find less."""
        told = await event_log.told(self.runs, response.id, until)
        if told is None:
            return
        response.output = output_told(map(_decode_event, told))
        for item in response.output:
            if response.status == "failed" and item.get("status") == "in_progress":
                item["status"] = "incomplete"
