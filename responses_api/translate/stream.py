"""Chat Completions chunks → Responses events: one state object, one short handler per kind of delta. Pure.

Source of the order: OpenAI API reference, "Streaming events". One item at a time from `output_item.added` to
`output_item.done`, `output_index` ascending, `sequence_number` from 0 without gaps, one terminal event.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from responses_api.shapes import events
from responses_api.shapes.events import AnyEvent
from responses_api.shapes.ids import ItemIds
from responses_api.shapes.items import Item
from responses_api.shapes.response import Response, ResponseError, Usage
from responses_api.translate.call_queue import CallQueue
from responses_api.translate.chat import Message, ToolCall, decode_completion, error_message, to_logprobs
from responses_api.translate.dialect import BackendStreamError, Seal
from responses_api.translate.open_items import OpenCall, OpenItem, OpenMessage, OpenReasoning
from responses_api.translate.outcome import Outcome, incomplete_reason

_TERMINAL = {
    "completed": events.Completed,
    "incomplete": events.Incomplete,
    "failed": events.Failed,
    # There is no event of its own for it.
    "cancelled": events.Failed,
}


def terminal_event(response: Response, sequence_number: int) -> AnyEvent:
    """The event that ends a stream of this response."""
    return _TERMINAL[response.status](sequence_number=sequence_number, response=response)


class StreamTranslator:
    """A `dialect.Translator` for Chat Completions chunks."""

    def __init__(self, response: Response, seal: Seal | None = None, first: int = 0) -> None:
        self._response = response
        self._seal = seal
        self._ids = ItemIds.of_output(response.id)
        self._sequence = count(first)
        self._done: list[Item] = []
        self._given = 0
        self._open: OpenItem | None = None
        self._calls = CallQueue()
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._service_tier: str | None = None

    def start(self) -> list[AnyEvent]:
        return [
            events.Created(sequence_number=next(self._sequence), response=self._response),
            events.InProgress(sequence_number=next(self._sequence), response=self._response),
        ]

    def add_item(self, item: Item) -> list[AnyEvent]:
        index, begun = len(self._done), item | {"status": "in_progress"} if "status" in item else item
        self._done.append(item)
        self._given += 1
        return [
            events.OutputItemAdded(sequence_number=next(self._sequence), output_index=index, item=begun),
            events.OutputItemDone(sequence_number=next(self._sequence), output_index=index, item=item),
        ]

    def feed(self, data: bytes) -> list[AnyEvent]:
        chunk = decode_completion(data)
        if chunk.error is not None:
            raise BackendStreamError(error_message(chunk.error))
        if chunk.usage is not None:
            self._usage = chunk.usage.to_usage()
        if chunk.service_tier is not None:
            self._service_tier = chunk.service_tier
        if not chunk.choices:
            return []
        choice = chunk.choices[0]
        if choice.finish_reason:
            self._finish_reason = choice.finish_reason
        if choice.delta is None:
            return []
        return self._on_delta(choice.delta, to_logprobs(choice.logprobs))

    @property
    def has_output(self) -> bool:
        return self._open is not None or len(self._done) > self._given

    @property
    def is_finished(self) -> bool:
        return self._finish_reason is not None

    def snapshot(self) -> list[Item]:
        return [*self._done, self._open.item("in_progress")] if self._open is not None else list(self._done)

    def finish(self) -> tuple[list[AnyEvent], Outcome]:
        incomplete = incomplete_reason(self._finish_reason)
        produced = self._flush_calls()
        if not self.has_output:
            produced += self._begin(OpenMessage(self._sequence, self._ids, len(self._done)))
        produced += self._end("incomplete" if incomplete else "completed")
        return produced, Outcome(self._done, self._usage, incomplete, service_tier=self._service_tier)

    def fail(self, error: ResponseError) -> Outcome:
        if self._open is not None:
            self._done.append(self._open.item("incomplete"))
            self._open = None
        return Outcome(self._done, self._usage, None, error)

    def terminal(self) -> AnyEvent:
        return terminal_event(self._response, next(self._sequence))

    def _on_delta(self, delta: Message, logprobs: list[dict[str, Any]]) -> list[AnyEvent]:
        produced: list[AnyEvent] = []
        if thought := delta.thought:
            produced += self._on_reasoning(thought)
        if text := delta.text:
            produced += self._on_text(text, logprobs)
        if delta.refusal:
            produced += self._on_refusal(delta.refusal)
        for call in delta.tool_calls or ():
            produced += self._on_call(call)
        return produced

    def _on_text(self, text: str, logprobs: list[dict[str, Any]]) -> list[AnyEvent]:
        opened, message = self._message()
        return opened + message.write_text(text, logprobs)

    def _on_refusal(self, refusal: str) -> list[AnyEvent]:
        opened, message = self._message()
        return opened + message.write_refusal(refusal)

    def _on_reasoning(self, thought: str) -> list[AnyEvent]:
        if isinstance(self._open, OpenReasoning):
            return self._open.write(thought)
        produced = self._flush_calls() + self._end("completed")
        reasoning = OpenReasoning(self._sequence, self._ids, len(self._done), self._seal)
        return produced + self._begin(reasoning) + reasoning.write(thought)

    def _on_call(self, delta: ToolCall) -> list[AnyEvent]:
        """Deltas of a later call wait until the arguments of the one before are whole."""
        self._calls.add(delta)
        produced: list[AnyEvent] = []
        while (current := self._calls.current) is not None and current.name:
            produced += self._write_current_call()
            if not (self._calls.next_is_waiting and current.is_whole):
                break
            self._calls.advance()
        return produced

    def _message(self) -> tuple[list[AnyEvent], OpenMessage]:
        if isinstance(self._open, OpenMessage):
            return [], self._open
        produced = self._flush_calls() + self._end("completed")
        message = OpenMessage(self._sequence, self._ids, len(self._done))
        return produced + self._begin(message), message

    def _write_current_call(self) -> list[AnyEvent]:
        call = self._calls.current
        assert call is not None  # noqa: S101 - both callers looked
        if isinstance(self._open, OpenCall) and self._open.call is call:
            return self._open.write(call.take_pending())
        produced = self._end("completed")
        item = OpenCall(self._sequence, self._ids, len(self._done), call)
        return produced + self._begin(item) + item.write(call.take_pending())

    def _flush_calls(self) -> list[AnyEvent]:
        """Sends every call that still waits, whole or not; the last one stays open."""
        produced: list[AnyEvent] = []
        while self._calls.current is not None:
            produced += self._write_current_call()
            self._calls.advance()
        return produced

    def _begin(self, item: OpenItem) -> list[AnyEvent]:
        self._open = item
        return item.added()

    def _end(self, status: str) -> list[AnyEvent]:
        if self._open is None:
            return []
        closing, self._open = self._open, None
        produced = closing.close()
        item, index = closing.item(status), len(self._done)
        self._done.append(item)
        done = events.OutputItemDone(sequence_number=next(self._sequence), output_index=index, item=item)
        return [*produced, done]
