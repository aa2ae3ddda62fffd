"""Responses events from a backend → ours: numbered anew, with ids of ours, the response object our own. Pure."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import msgspec

from responses_api.shapes import events
from responses_api.shapes.events import TERMINAL_TYPES, AnyEvent, Forwarded
from responses_api.shapes.ids import ItemIds
from responses_api.shapes.items import Item
from responses_api.shapes.response import Response, ResponseError, Usage
from responses_api.translate.chat import error_message
from responses_api.translate.dialect import BackendStreamError
from responses_api.translate.outcome import IncompleteReason, Outcome
from responses_api.translate.stream import terminal_event

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_PREFIX = re.compile(r"[a-z]{2,8}(?=_)")
_OWN_LIFECYCLE = frozenset({"response.created", "response.in_progress", "response.queued"})
# Open Responses allows these to be absent, not null.
_NOT_NULL = ("phase", "encrypted_content", "content")


class OwnIds:
    """A backend's item ids → ours, the same one each time."""

    def __init__(self, response_id: str) -> None:
        self._ids = ItemIds.of_output(response_id)
        self._known: dict[str, str] = {}

    def of(self, backend_id: str) -> str:
        if backend_id not in self._known:
            prefix = _PREFIX.match(backend_id)
            self._known[backend_id] = self._ids.new(prefix[0] if prefix else "item")
        return self._known[backend_id]

    def own(self, item: Item) -> Item:
        """The item under our id."""
        owned = {name: value for name, value in item.items() if value is not None or name not in _NOT_NULL}
        owned["id"] = self.of(str(item.get("id") or f"item_{len(self._known)}"))
        return owned


def to_outcome(answer: dict[str, Any], ids: OwnIds, given: list[Item] | None = None) -> Outcome:
    """A backend's finished response object → what we make of it. Raises `ValueError` for a usage that is none."""
    error = answer.get("error")
    status = answer.get("status")
    return Outcome(
        output=[*(given or ()), *(ids.own(item) for item in answer.get("output") or ())],
        usage=_usage(answer.get("usage")),
        incomplete=_incomplete(answer) if status == "incomplete" else None,
        error=_error(error) if error or status in ("failed", "cancelled") else None,
        service_tier=answer.get("service_tier"),
    )


class ForwardTranslator:
    """A `dialect.Translator` for a stream of Responses events."""

    def __init__(self, response: Response, first: int = 0) -> None:
        self._response = response
        self._ids = OwnIds(response.id)
        self._sequence = count(first)
        self._given: list[Item] = []
        self._items: dict[int, Item] = {}
        self._end: dict[str, Any] | None = None

    @property
    def has_output(self) -> bool:
        return bool(self._items)

    @property
    def is_finished(self) -> bool:
        return self._end is not None

    def start(self) -> list[AnyEvent]:
        return [
            events.Created(sequence_number=next(self._sequence), response=self._response),
            events.InProgress(sequence_number=next(self._sequence), response=self._response),
        ]

    def add_item(self, item: Item) -> list[AnyEvent]:
        index = len(self._given)
        self._given.append(item)
        return [
            events.OutputItemAdded(sequence_number=next(self._sequence), output_index=index, item=item),
            events.OutputItemDone(sequence_number=next(self._sequence), output_index=index, item=item),
        ]

    def feed(self, data: bytes) -> list[AnyEvent]:
        event = _decode(data)
        kind = event.get("type")
        if kind == "error" or (kind is None and "error" in event):
            raise BackendStreamError(error_message(event.get("error") or event))
        if kind in TERMINAL_TYPES:
            self._end = event.get("response") or {}
            return []
        if kind is None or kind in _OWN_LIFECYCLE:
            return []
        return [self._forward(event)]

    def snapshot(self) -> list[Item]:
        return [*self._given, *self._items.values()]

    def finish(self) -> tuple[list[AnyEvent], Outcome]:
        return [], to_outcome(self._end or {}, self._ids, self._given)

    def fail(self, error: ResponseError) -> Outcome:
        return Outcome(self.snapshot(), None, None, error)

    def terminal(self) -> AnyEvent:
        return terminal_event(self._response, next(self._sequence))

    def _forward(self, event: dict[str, Any]) -> Forwarded:
        if "output_index" in event:
            event["output_index"] += len(self._given)
        if isinstance(event.get("item_id"), str):
            event["item_id"] = self._ids.of(event["item_id"])
        if isinstance(event.get("item"), dict):
            event["item"] = self._ids.own(event["item"])
            self._items[event.get("output_index", len(self._items))] = event["item"]
        return Forwarded(next(self._sequence), event)


def _usage(usage: Any) -> Usage | None:
    if not usage:
        return None
    details: dict[str, Any] = {"input_tokens_details": {}, "output_tokens_details": {}}
    try:
        return msgspec.convert(details | {name: value for name, value in usage.items() if value is not None}, Usage)
    except (msgspec.ValidationError, AttributeError) as error:
        raise ValueError(f"its usage cannot be read: {error}") from error


def _incomplete(answer: dict[str, Any]) -> IncompleteReason:
    reason = (answer.get("incomplete_details") or {}).get("reason")
    return "content_filter" if reason == "content_filter" else "max_output_tokens"


def _error(error: Any) -> ResponseError:
    code = error.get("code") if isinstance(error, dict) else None
    return ResponseError(str(code or "server_error"), error_message(error or "The backend's response failed."))
