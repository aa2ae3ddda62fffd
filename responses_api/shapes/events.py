"""Streaming events (OpenAI API reference; the field lists are those of the official SDK).

Each carries a `sequence_number` that counts from 0 within its response without gaps.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from responses_api import sse
from responses_api.shapes.items import Item
from responses_api.shapes.response import Response

OBFUSCATION_BLOCK = 16


class Event(Struct, tag_field="type", kw_only=True):
    """The base of all; `type` is each class's tag."""

    sequence_number: int


class _Lifecycle(Event):
    response: Response


class Created(_Lifecycle, tag="response.created"):
    pass


class InProgress(_Lifecycle, tag="response.in_progress"):
    pass


class Queued(_Lifecycle, tag="response.queued"):
    pass


class Completed(_Lifecycle, tag="response.completed"):
    pass


class Incomplete(_Lifecycle, tag="response.incomplete"):
    pass


class Failed(_Lifecycle, tag="response.failed"):
    pass


class OutputItemAdded(Event, tag="response.output_item.added"):
    output_index: int
    item: Item


class OutputItemDone(Event, tag="response.output_item.done"):
    output_index: int
    item: Item


class _ContentEvent(Event):
    item_id: str
    output_index: int
    content_index: int


class ContentPartAdded(_ContentEvent, tag="response.content_part.added"):
    part: Item


class ContentPartDone(_ContentEvent, tag="response.content_part.done"):
    part: Item


class OutputTextDelta(_ContentEvent, tag="response.output_text.delta"):
    delta: str
    logprobs: list[Any]
    obfuscation: str | UnsetType = UNSET


class OutputTextDone(_ContentEvent, tag="response.output_text.done"):
    text: str
    logprobs: list[Any]


class RefusalDelta(_ContentEvent, tag="response.refusal.delta"):
    delta: str
    obfuscation: str | UnsetType = UNSET


class RefusalDone(_ContentEvent, tag="response.refusal.done"):
    refusal: str


class ReasoningTextDelta(_ContentEvent, tag="response.reasoning_text.delta"):
    delta: str
    obfuscation: str | UnsetType = UNSET


class ReasoningTextDone(_ContentEvent, tag="response.reasoning_text.done"):
    text: str


class FunctionCallArgumentsDelta(Event, tag="response.function_call_arguments.delta"):
    item_id: str
    output_index: int
    delta: str
    obfuscation: str | UnsetType = UNSET


class FunctionCallArgumentsDone(Event, tag="response.function_call_arguments.done"):
    item_id: str
    output_index: int
    name: str
    arguments: str


class Forwarded:
    """An event that a backend made, with ids and number of ours. What its kind means is between backend and client."""

    __slots__ = ("fields", "sequence_number")

    def __init__(self, sequence_number: int, fields: dict[str, Any]) -> None:
        self.sequence_number = sequence_number
        self.fields = fields | {"sequence_number": sequence_number}


AnyEvent = Event | Forwarded
TERMINAL_TYPES = frozenset({"response.completed", "response.incomplete", "response.failed"})

_encoder = msgspec.json.Encoder()


def encode(event: AnyEvent) -> bytes:
    """The event's JSON, `type` first."""
    return _encoder.encode(event.fields if isinstance(event, Forwarded) else event)


def type_of(event: AnyEvent) -> str:
    return str(event.fields["type"] if isinstance(event, Forwarded) else event.__struct_config__.tag)


def to_frame(event: AnyEvent) -> bytes:
    """The event as one SSE frame; `event:` equals `type`."""
    return sse.frame(type_of(event).encode(), encode(event))


def to_frames(events: Sequence[AnyEvent]) -> bytes:
    """The same of several, in one piece."""
    return to_frame(events[0]) if len(events) == 1 else b"".join(map(to_frame, events))


def obfuscate(events: Iterable[AnyEvent]) -> None:
    """Pads deltas to multiples of `OBFUSCATION_BLOCK` characters, so that packet sizes do not tell what is said."""
    for event in events:
        if isinstance(event, OutputTextDelta | RefusalDelta | ReasoningTextDelta | FunctionCallArgumentsDelta):
            missing = -len(event.delta) % OBFUSCATION_BLOCK
            event.obfuscation = secrets.token_urlsafe(OBFUSCATION_BLOCK)[:missing]
