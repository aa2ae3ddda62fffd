"""A response with all that is known of it: its row in the index, its record in the store, and why one is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from django.http import Http404

from cache_admin import sources
from responses_api.models import ResponseIndex
from responses_api.shapes.ids import is_id
from responses_api.stores.layout import response_key
from responses_api.stores.record import CorruptRecord, StoredResponse, decode_response

Json = dict[str, Any]


@dataclass(slots=True)
class Known:
    """At least one of `row` and `record`."""

    id: str
    row: ResponseIndex | None
    record: StoredResponse | None
    problem: str = ""
    """Of a record that cannot be read."""

    @property
    def response(self) -> Json:
        """The response object; empty where there is no record."""
        return msgspec.json.decode(self.record.response) if self.record else {}

    @property
    def input(self) -> list[Json]:
        return msgspec.json.decode(self.record.input) if self.record else []

    @property
    def bytes(self) -> int:
        return len(self.record.response) + len(self.record.input) if self.record else 0

    @property
    def why_empty(self) -> str:
        """In words, why there is nothing to read."""
        row = self.row
        if self.record is not None:
            return ""
        if self.problem:
            return self.problem
        if row is None:
            return "It is not stored."
        if row.api != "responses":
            return "Chat Completions, completions and embeddings are passed on: nothing of them is kept but this row."
        if row.deleted_at is not None:
            return f"It was deleted on {row.deleted_at:%F at %H:%M:%S} UTC; this row stays until it would have expired."
        if not row.stored and row.status == "failed":
            return f"It failed before there was an answer ({row.error_code or 'no code'}): nothing was stored."
        if not row.stored:
            return "Its client asked for 'store: false': nothing was kept but this row."
        return "It was stored and is gone: it has expired, or the store has lost it."


def find(response_id: str) -> Known:
    """Raises `Http404`, and what the store raises."""
    row = ResponseIndex.objects.filter(pk=response_id).first()
    record, problem = None, ""
    try:
        record = read(response_id)
    except CorruptRecord as error:
        problem = error.message
    if row is None and record is None and not problem:
        raise Http404(f"There is no response '{response_id}', neither in the index nor in the store.")
    return Known(response_id, row, record, problem)


def read(response_id: str) -> StoredResponse | None:
    """Whoever's it is. Raises `CorruptRecord`, and what the store raises."""
    if not is_id(response_id, "resp"):
        return None

    async def get(runtime: Any) -> bytes | None:
        values: list[bytes | None] = await runtime.store.get([response_id])
        return values[0]

    value = sources.ask(get)
    return decode_response(response_id, value) if value is not None else None


def seconds_left(response_id: str) -> float | None:
    """Until Redis forgets it; None: it does not expire, or the store cannot tell."""
    if sources.config().response_api.store_backend != "redis":
        return None
    left = sources.redis().pttl(response_key(sources.prefix(), response_id))
    return left / 1000 if left and left > 0 else None
