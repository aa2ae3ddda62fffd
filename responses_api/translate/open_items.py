"""Output items while they are being streamed: each knows the events of its own growth. Pure.

`added` once, writes, `close` once; `item` is the item as it stands.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from responses_api.shapes import events
from responses_api.shapes.events import AnyEvent, Event
from responses_api.shapes.ids import ItemIds
from responses_api.shapes.items import Item
from responses_api.translate.call_queue import Call
from responses_api.translate.dialect import Seal
from responses_api.translate.response import call_item, message_item, reasoning_item, text_part

Sequence = count


class OpenItem:
    """What all kinds share: the place in the output and the response's one event counter."""

    id_prefix = ""

    def __init__(self, sequence: Sequence[int], ids: ItemIds, output_index: int) -> None:
        self._sequence = sequence
        self._id = ids.new(self.id_prefix)
        self._index = output_index

    def added(self) -> list[AnyEvent]:
        return [
            events.OutputItemAdded(sequence_number=next(self._sequence), output_index=self._index, item=self._empty())
        ]

    def close(self) -> list[AnyEvent]:
        raise NotImplementedError

    def item(self, status: str) -> Item:
        raise NotImplementedError

    def _empty(self) -> Item:
        return self.item("in_progress")

    def _event(self, kind: type[Event], **fields: Any) -> AnyEvent:
        return kind(
            sequence_number=next(self._sequence),
            item_id=self._id,  # type: ignore[call-arg]
            output_index=self._index,
            **fields,
        )


class OpenMessage(OpenItem):
    """The assistant's message; text and refusal are separate parts of it."""

    id_prefix = "msg"

    def __init__(self, sequence: Sequence[int], ids: ItemIds, output_index: int) -> None:
        super().__init__(sequence, ids, output_index)
        self._parts: list[Item] = []
        self._kind = ""
        self._pieces: list[str] = []
        self._logprobs: list[dict[str, Any]] = []

    def write_text(self, text: str, logprobs: list[dict[str, Any]]) -> list[AnyEvent]:
        produced = self._begin_part("output_text")
        self._pieces.append(text)
        self._logprobs += logprobs
        # The one event of every token: spelled out, since keyword dictionaries cost.
        produced.append(
            events.OutputTextDelta(
                sequence_number=next(self._sequence),
                item_id=self._id,
                output_index=self._index,
                content_index=len(self._parts),
                delta=text,
                logprobs=logprobs,
            )
        )
        return produced

    def write_refusal(self, refusal: str) -> list[AnyEvent]:
        produced = self._begin_part("refusal")
        self._pieces.append(refusal)
        produced.append(self._event(events.RefusalDelta, content_index=len(self._parts), delta=refusal))
        return produced

    def close(self) -> list[AnyEvent]:
        # A message always has a part, also when the model said nothing.
        opened = [] if self._kind or self._parts else self._begin_part("output_text")
        return opened + self._end_part()

    def item(self, status: str) -> Item:
        return message_item(self._id, [*self._parts, self._part()] if self._kind else list(self._parts), status)

    def _begin_part(self, kind: str) -> list[AnyEvent]:
        if self._kind == kind:
            return []
        produced = self._end_part()
        self._kind = kind
        produced.append(self._event(events.ContentPartAdded, content_index=len(self._parts), part=self._part()))
        return produced

    def _end_part(self) -> list[AnyEvent]:
        if not self._kind:
            return []
        part, place = self._part(), len(self._parts)
        if self._kind == "output_text":
            texts = {"text": part["text"], "logprobs": part["logprobs"]}
            done = self._event(events.OutputTextDone, content_index=place, **texts)
        else:
            done = self._event(events.RefusalDone, content_index=place, refusal=part["refusal"])
        self._parts.append(part)
        self._kind, self._pieces, self._logprobs = "", [], []
        return [done, self._event(events.ContentPartDone, content_index=place, part=part)]

    def _part(self) -> Item:
        joined = "".join(self._pieces)
        return {"type": "refusal", "refusal": joined} if self._kind == "refusal" else text_part(joined, self._logprobs)


class OpenReasoning(OpenItem):
    """The model's thinking, as one `reasoning_text` part."""

    id_prefix = "rs"

    def __init__(self, sequence: Sequence[int], ids: ItemIds, output_index: int, seal: Seal | None) -> None:
        super().__init__(sequence, ids, output_index)
        self._seal = seal
        self._pieces: list[str] = []

    def added(self) -> list[AnyEvent]:
        return [*super().added(), self._event(events.ContentPartAdded, content_index=0, part=self._part())]

    def write(self, thought: str) -> list[AnyEvent]:
        self._pieces.append(thought)
        return [self._event(events.ReasoningTextDelta, content_index=0, delta=thought)]

    def close(self) -> list[AnyEvent]:
        part = self._part()
        return [
            self._event(events.ReasoningTextDone, content_index=0, text=part["text"]),
            self._event(events.ContentPartDone, content_index=0, part=part),
        ]

    def item(self, status: str) -> Item:
        seal = self._seal if status != "in_progress" else None
        return reasoning_item(self._id, "".join(self._pieces), status, seal)

    def _part(self) -> Item:
        return {"type": "reasoning_text", "text": "".join(self._pieces)}


class OpenCall(OpenItem):
    """The tool call whose turn it is."""

    id_prefix = "fc"

    def __init__(self, sequence: Sequence[int], ids: ItemIds, output_index: int, call: Call) -> None:
        super().__init__(sequence, ids, output_index)
        self.call = call

    def write(self, pieces: list[str]) -> list[AnyEvent]:
        return [self._event(events.FunctionCallArgumentsDelta, delta=piece) for piece in pieces]

    def close(self) -> list[AnyEvent]:
        name, arguments = self.call.name, self.call.arguments
        return [self._event(events.FunctionCallArgumentsDone, name=name, arguments=arguments)]

    def item(self, status: str) -> Item:
        return call_item(self._id, self.call.call_id, self.call.name, self.call.arguments, status)

    def _empty(self) -> Item:
        return call_item(self._id, self.call.call_id, self.call.name, "", "in_progress")
