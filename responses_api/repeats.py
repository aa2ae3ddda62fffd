"""The very same body once more, answered from memory: what was worked out for it before is not worked out again.

A repeat is learnt from a hit that went the long way. It holds for stateless requests only, and only while the cache
would still give the same entry.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from responses_api import metrics
from responses_api.accounting import Accounting
from responses_api.cache.controls import Controls
from responses_api.cache.entry import Entry
from responses_api.cache.headers import Header, given_headers
from responses_api.cache.key import Question
from responses_api.cache.memory import BoundedMemory
from responses_api.cache.policy import Judgement, Verdict
from responses_api.cache.replay import digits_of
from responses_api.cache.service import ResponseCache
from responses_api.cached_responses import Create
from responses_api.index_entry import IndexEntry
from responses_api.index_writer import IndexWriter
from responses_api.run import RequestContext
from responses_api.shapes.ids import new_id
from responses_api.shapes.response import tail_of, with_head
from responses_api.stored_responses import StoredResponses
from responses_api.stores.record import StoredResponse

MAX_BYTES = 16 * 1024 * 1024
_HIT = Judgement(Verdict.HIT, "fresh")
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Repeat:
    """`tail` is the response behind its head as it is stored, `client_tail` as clients get it; ids made of `digits`."""

    controls: Controls
    question: Question
    entry: Entry
    digits: bytes
    tail: bytes
    client_tail: bytes
    input: bytes
    is_stored: bool
    row: IndexEntry
    headers: list[Header] = field(default_factory=list)
    headers_until: float = 0.0
    """They tell the age in seconds, and are the same for as long."""


class Repeats:
    """One per event loop; without a cache nothing is ever learnt."""

    def __init__(
        self, cache: ResponseCache | None, stored: StoredResponses, index: IndexWriter, accounting: Accounting
    ) -> None:
        self._cache = cache
        self._stored = stored
        self._index = index
        self._accounting = accounting
        self._known: BoundedMemory[tuple[str, bytes], Repeat] = BoundedMemory(MAX_BYTES)

    def __bool__(self) -> bool:
        """Has anything been learnt?"""
        return len(self._known) > 0

    def find(self, project: str, body: bytes, controls: Controls) -> Repeat | None:
        """What is known of the same body with the same headers, if it is still a hit."""
        repeat = self._known.get((project, body))
        if repeat is None or self._cache is None:
            return None
        # The same headers are the same object, as long as they are remembered.
        if repeat.controls is not controls and repeat.controls != controls:
            return None
        found = self._cache.recall(repeat.question, project, controls)
        if found is None or found.entry is None or found.entry.created_at != repeat.entry.created_at:
            return None
        return repeat

    def learn(self, create: Create, encoded: bytes, for_client: bytes) -> None:
        """From a hit: its response as JSON, stored and for its client."""
        entry, question, run = create.found.given, create.question, create.run
        if entry is None or question is None or create.found.judgement != _HIT or question.has_history:
            return
        items = _encode(run.request.items)
        repeat = Repeat(
            controls=create.controls,
            question=question,
            entry=entry,
            digits=digits_of(run.response.id).encode(),
            tail=tail_of(encoded),
            client_tail=tail_of(for_client),
            input=items,
            is_stored=run.request.store,
            row=self._accounting.row_of(run, "completed", stored=run.request.store, response_bytes=len(encoded)),
        )
        size = len(create.body) + len(encoded) + len(for_client) + len(items) + 1024
        self._known.put((run.context.project, create.body), repeat, size)

    def give_unstored(self, repeat: Repeat, context: RequestContext) -> bytes:
        """A response of its own, as its client gets it; of one that is not to be stored."""
        response_id, created_at, digits = self._begin(repeat, context)
        return with_head(response_id, created_at, repeat.client_tail.replace(repeat.digits, digits))

    async def give(self, repeat: Repeat, context: RequestContext) -> bytes:
        """The same, stored where that was asked. Raises `StoreUnavailable`."""
        if not repeat.is_stored:
            return self.give_unstored(repeat, context)
        response_id, created_at, digits = self._begin(repeat, context)
        encoded = with_head(response_id, created_at, repeat.tail.replace(repeat.digits, digits))
        await self._stored.create(
            StoredResponse(
                id=response_id,
                previous_response_id="",
                project=context.project,
                created_at=created_at,
                depth=0,
                ancestors=[],
                input=Raw(repeat.input.replace(repeat.digits, digits)),
                response=Raw(encoded),
            )
        )
        return with_head(response_id, created_at, repeat.client_tail.replace(repeat.digits, digits))

    def _begin(self, repeat: Repeat, context: RequestContext) -> tuple[str, int, bytes]:
        """The new response's id, creation and the digits of its ids; counted, and told to the index."""
        response_id = new_id("resp")
        digits, created_at = digits_of(response_id).encode(), int(time.time())
        if self._cache is not None:
            self._cache.counts.note(context.project, repeat.row.model, "hit", repeat.entry)
        metrics.of(metrics.CACHE_VERDICTS, "hit", "fresh").inc()
        milliseconds = (time.perf_counter() - context.received) * 1000
        self._index.add(
            msgspec.structs.replace(
                repeat.row,
                id=response_id,
                created_at=created_at,
                expires_at=self._accounting.expiry(created_at, stored=repeat.is_stored),
                request_id=context.request_id,
                duration_ms=milliseconds,
                gateway_ms=milliseconds,
            )
        )
        return response_id, created_at, digits

    def headers(self, repeat: Repeat) -> list[Header]:
        now = time.time()
        if now >= repeat.headers_until:
            entry = repeat.entry
            age = now - entry.created_at
            repeat.headers = given_headers(_HIT, age, entry.ttl, entry.id, repeat.controls.ignored)
            repeat.headers_until = now + 1 - age % 1
        return repeat.headers
