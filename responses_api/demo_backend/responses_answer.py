"""Answer → a Responses object, or the frames of its stream (OpenAI API reference, Responses → streaming). Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from responses_api.demo_backend.answers import Answer
from responses_api.demo_backend.chunks import CREATED
from responses_api.demo_backend.responses_request import ResponsesRequest
from responses_api.demo_backend.tool_calls import ToolCall

Item = dict[str, Any]
Event = dict[str, Any]

_SOURCE = {"url": "https://example.com/demo", "title": "Demo"}


@dataclass(frozen=True, slots=True)
class ResponsesAnswer:
    """What is said, as items; `query` is what the web was searched for, None for no search."""

    id: str
    request: ResponsesRequest
    said: Answer
    usage: dict[str, Any]
    query: str | None = None

    def document(self) -> bytes:
        return msgspec.json.encode(self._response(self._status, [item for item, _ in self._items()]))

    def frames(self) -> list[bytes]:
        """Events with their numbers; a Responses stream has no `[DONE]`."""
        numbers = count()
        return [
            b"event: %b\ndata: %b\n\n"
            % (event["type"].encode(), msgspec.json.encode({"sequence_number": next(numbers), **event}))
            for event in self._events()
        ]

    @property
    def _status(self) -> str:
        return "incomplete" if self.said.finish_reason in ("length", "content_filter") else "completed"

    def _events(self) -> Iterator[Event]:
        yield {"type": "response.created", "response": self._response("in_progress", [])}
        yield {"type": "response.in_progress", "response": self._response("in_progress", [])}
        output = []
        for index, (item, events) in enumerate(self._items()):
            begun = {**item, "status": "in_progress"} | {
                name: value for name, value in (("content", []), ("arguments", "")) if name in item
            }
            yield {"type": "response.output_item.added", "output_index": index, "item": begun}
            for event in events:
                yield {**event, "item_id": item["id"], "output_index": index}
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
            output.append(item)
        yield {"type": f"response.{self._status}", "response": self._response(self._status, output)}

    def _response(self, status: str, output: list[Item]) -> dict[str, Any]:
        reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
        ended = status != "in_progress"
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "model": self.request.model,
            "output": output,
            "error": None,
            "incomplete_details": {"reason": reasons[self.said.finish_reason]} if status == "incomplete" else None,
            "usage": self.usage if ended else None,
            "tools": self.request.tools or [],
            "tool_choice": self.request.tool_choice or "auto",
            "parallel_tool_calls": self.request.parallel_tool_calls is not False,
        }

    def _items(self) -> Iterator[tuple[Item, list[Event]]]:
        """Each item with the events between its begin and its end."""
        if self.said.reasoning:
            yield self._reasoning()
        if self.query is not None:
            yield self._search(self.query)
        if self.said.pieces or not self.said.calls:
            yield self._message()
        for nth, call in enumerate(self.said.calls):
            yield self._call(nth, call)

    def _reasoning(self) -> tuple[Item, list[Event]]:
        text = "".join(self.said.reasoning)
        part = {"type": "reasoning_text", "text": text}
        item: Item = {"id": f"rs_{self.id}", "type": "reasoning", "summary": [], "content": [part]}
        if self.request.includes("reasoning.encrypted_content"):
            item["encrypted_content"] = base64.b64encode(text.encode()).decode()
        deltas = [{"type": "response.reasoning_text.delta", "delta": piece} for piece in self.said.reasoning]
        return item, _in_part(part, [*deltas, {"type": "response.reasoning_text.done", "text": text}])

    def _search(self, query: str) -> tuple[Item, list[Event]]:
        action: dict[str, Any] = {"type": "search", "query": query}
        if self.request.includes("web_search_call.action.sources"):
            action["sources"] = [{"type": "url", "url": _SOURCE["url"]}]
        item = {"id": f"ws_{self.id}", "type": "web_search_call", "status": "completed", "action": action}
        return item, [
            {"type": f"response.web_search_call.{step}"} for step in ("in_progress", "searching", "completed")
        ]

    def _message(self) -> tuple[Item, list[Event]]:
        text = "".join(self.said.pieces)
        item: Item = {"id": f"msg_{self.id}", "type": "message", "role": "assistant", "status": self._status}
        if self.said.refused:
            part: dict[str, Any] = {"type": "refusal", "refusal": text}
            events: list[Event] = [{"type": "response.refusal.delta", "delta": piece} for piece in self.said.pieces]
            events.append({"type": "response.refusal.done", "refusal": text})
        else:
            part = {"type": "output_text", "text": text, "annotations": self._citations(text), "logprobs": []}
            events = [
                {"type": "response.output_text.delta", "delta": piece, "logprobs": []} for piece in self.said.pieces
            ]
            events += [
                {"type": "response.output_text.annotation.added", "annotation_index": nth, "annotation": citation}
                for nth, citation in enumerate(part["annotations"])
            ]
            events.append({"type": "response.output_text.done", "text": text, "logprobs": []})
        return {**item, "content": [part]}, _in_part(part, events)

    def _citations(self, text: str) -> list[dict[str, Any]]:
        if self.query is None:
            return []
        return [{"type": "url_citation", "start_index": 0, "end_index": len(text), **_SOURCE}]

    def _call(self, nth: int, call: ToolCall) -> tuple[Item, list[Event]]:
        item = {
            "id": f"fc_{nth}_{self.id}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        deltas = [{"type": "response.function_call_arguments.delta", "delta": piece} for piece in call.pieces]
        done = {"type": "response.function_call_arguments.done", "name": call.name, "arguments": call.arguments}
        return item, [*deltas, done]


def usage(chat: dict[str, Any]) -> dict[str, Any]:
    """A chat completion's usage in the words of the Responses API."""
    return {
        "input_tokens": chat["prompt_tokens"],
        "input_tokens_details": chat.get("prompt_tokens_details") or {"cached_tokens": 0},
        "output_tokens": chat["completion_tokens"],
        "output_tokens_details": chat.get("completion_tokens_details") or {"reasoning_tokens": 0},
        "total_tokens": chat["total_tokens"],
    }


def _in_part(part: dict[str, Any], events: list[Event]) -> list[Event]:
    empty = {**part, **({"refusal": ""} if part["type"] == "refusal" else {"text": ""})}
    if "annotations" in part:
        empty["annotations"] = []
    begun = {"type": "response.content_part.added", "part": empty}
    done = {"type": "response.content_part.done", "part": part}
    return [{"content_index": 0, **event} for event in (begun, *events, done)]
