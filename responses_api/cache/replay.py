"""A recorded answer, given again: under the ids of its new owner, whole or as the events of a stream. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
from msgspec import Raw, Struct

from responses_api.cache.entry import Recording
from responses_api.shapes import events
from responses_api.shapes.events import AnyEvent, Forwarded
from responses_api.shapes.items import Item
from responses_api.shapes.response import Usage
from responses_api.translate.outcome import Outcome

FIRST_EVENT = 2
"""Before the recorded ones come `response.created` and `response.in_progress`, the new response's own."""


class _Answer(Struct):
    """What of a recorded response is the model's. The rest told of the request that it answered."""

    output: Raw
    usage: Usage | None
    service_tier: str


_answer_decoder = msgspec.json.Decoder(_Answer)
_items_decoder = msgspec.json.Decoder(list[Item])


def digits_of(response_id: str) -> str:
    """What every id made for a response has in it."""
    return response_id.partition("_")[2]


def own(recorded: bytes, recording: Recording, response_id: str) -> bytes:
    """Recorded bytes under the ids of another response: both are made of 24 random hex digits."""
    return recorded.replace(recording.digits.encode(), digits_of(response_id).encode())


def outcome_of(recording: Recording, response_id: str) -> Outcome:
    """What the backend's answer was."""
    answer = _answer_decoder.decode(own(recording.body, recording, response_id))
    output: Any = answer.output
    return Outcome(output=output, usage=answer.usage, service_tier=answer.service_tier)


def frames_in(frames: bytes) -> int:
    """How many events they are: JSON has no raw line ends, so a blank line ends each and is nowhere else."""
    return frames.count(b"\n\n")


def events_of(recording: Recording, response_id: str) -> list[AnyEvent]:
    """The events that an answer recorded as JSON might have had, text in one delta."""
    numbers = count(FIRST_EVENT)
    made: list[AnyEvent] = []
    body = own(recording.body, recording, response_id)
    for index, item in enumerate(_items_decoder.decode(_answer_decoder.decode(body).output)):
        made += _item_events(index, item, numbers)
    return made


def _item_events(index: int, item: Item, numbers: Iterator[int]) -> Iterator[AnyEvent]:
    begun = {**item, "status": "in_progress"} if "status" in item else dict(item)
    if item["type"] in ("message", "reasoning") and "content" in item:
        begun["content"] = []
    elif item["type"] == "function_call":
        begun["arguments"] = ""
    yield events.OutputItemAdded(sequence_number=next(numbers), output_index=index, item=begun)
    if "content" in begun:
        for place, part in enumerate(item["content"]):
            yield from _part_events(
                {"item_id": item["id"], "output_index": index, "content_index": place}, part, numbers
            )
    elif item["type"] == "function_call":
        where = {"item_id": item["id"], "output_index": index}
        arguments, name = item["arguments"], item["name"]
        yield events.FunctionCallArgumentsDelta(sequence_number=next(numbers), **where, delta=arguments)
        yield events.FunctionCallArgumentsDone(sequence_number=next(numbers), **where, name=name, arguments=arguments)
    yield events.OutputItemDone(sequence_number=next(numbers), output_index=index, item=item)


def _part_events(where: dict[str, Any], part: Item, numbers: Iterator[int]) -> Iterator[AnyEvent]:
    kind = part["type"]
    if kind == "output_text":
        empty = {**part, "text": "", "annotations": [], "logprobs": []}
        logprobs = part.get("logprobs") or []
        said: list[AnyEvent] = [
            events.OutputTextDelta(sequence_number=0, **where, delta=part["text"], logprobs=logprobs),
            *(_annotation(where, place, each) for place, each in enumerate(part.get("annotations") or ())),
            events.OutputTextDone(sequence_number=0, **where, text=part["text"], logprobs=logprobs),
        ]
    elif kind == "refusal":
        empty = {**part, "refusal": ""}
        said = [
            events.RefusalDelta(sequence_number=0, **where, delta=part["refusal"]),
            events.RefusalDone(sequence_number=0, **where, refusal=part["refusal"]),
        ]
    else:
        empty = {**part, "text": ""}
        said = [
            events.ReasoningTextDelta(sequence_number=0, **where, delta=part["text"]),
            events.ReasoningTextDone(sequence_number=0, **where, text=part["text"]),
        ]
    yield events.ContentPartAdded(sequence_number=next(numbers), **where, part=empty)
    for event in said:
        _number(event, next(numbers))
        yield event
    yield events.ContentPartDone(sequence_number=next(numbers), **where, part=part)


def _annotation(where: dict[str, Any], place: int, annotation: Item) -> Forwarded:
    kind = "response.output_text.annotation.added"
    return Forwarded(0, {"type": kind, **where, "annotation_index": place, "annotation": annotation})


def _number(event: AnyEvent, number: int) -> None:
    event.sequence_number = number
    if isinstance(event, Forwarded):
        event.fields["sequence_number"] = number
