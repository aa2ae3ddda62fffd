"""Streaming events (OpenAI API reference; the field lists are those of the official SDK).

Each carries a `sequence_number` that counts from 0 within its response without gaps.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from responses_api import sse
from responses_api.shapes.items import Item
from responses_api.shapes.response import Response


class Event(Struct, tag_field="type", kw_only=True):
    """The base of all; `type` is each class's tag."""

    sequence_number: int


class _Lifecycle(Event):
    response: Response


class Created(_Lifecycle, tag="response.created"):
    pass


class InProgress(_Lifecycle, tag="response.in_progress"):
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


class OutputTextDone(_ContentEvent, tag="response.output_text.done"):
    text: str
    logprobs: list[Any]


class RefusalDelta(_ContentEvent, tag="response.refusal.delta"):
    delta: str


class RefusalDone(_ContentEvent, tag="response.refusal.done"):
    refusal: str


class ReasoningTextDelta(_ContentEvent, tag="response.reasoning_text.delta"):
    delta: str


class ReasoningTextDone(_ContentEvent, tag="response.reasoning_text.done"):
    text: str


class FunctionCallArgumentsDelta(Event, tag="response.function_call_arguments.delta"):
    item_id: str
    output_index: int
    delta: str


class FunctionCallArgumentsDone(Event, tag="response.function_call_arguments.done"):
    item_id: str
    output_index: int
    name: str
    arguments: str


_encoder = msgspec.json.Encoder()


def encode(event: Event) -> bytes:
    """The event's JSON, `type` first."""
    return _encoder.encode(event)


def to_frame(event: Event) -> bytes:
    """The event as one SSE frame; `event:` equals `type`."""
    return sse.frame(str(event.__struct_config__.tag).encode(), _encoder.encode(event))
