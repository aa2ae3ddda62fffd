"""Events that a stream has told → the output items its reader has by then. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from responses_api.shapes.items import Item

_CONTENT = ("content", "content_index")
_SUMMARY = ("summary", "summary_index")
_PARTS = {"response.content_part": _CONTENT, "response.reasoning_summary_part": _SUMMARY}
# The part of its item that a delta adds to, None for the item itself; and the field there.
_DELTAS: dict[str, tuple[tuple[str, str] | None, str]] = {
    "response.output_text.delta": (_CONTENT, "text"),
    "response.refusal.delta": (_CONTENT, "refusal"),
    "response.reasoning_text.delta": (_CONTENT, "text"),
    "response.reasoning_summary_text.delta": (_SUMMARY, "text"),
    "response.function_call_arguments.delta": (None, "arguments"),
    "response.custom_tool_call_input.delta": (None, "input"),
    "response.mcp_call_arguments.delta": (None, "arguments"),
}
_ANNOTATION = "response.output_text.annotation.added"


def output_told(events: Iterable[dict[str, Any]]) -> list[Item]:
    """Items that are not done stay `in_progress`, with what has come of them."""
    items: dict[int, Item] = {}
    for event in events:
        kind = event["type"]
        stem = kind.rpartition(".")[0]
        if stem == "response.output_item":
            items[event["output_index"]] = event["item"]
        elif stem in _PARTS:
            field, index = _PARTS[stem]
            items[event["output_index"]].setdefault(field, [])[event[index] :] = [event["part"]]
        elif kind in _DELTAS:
            place, name = _DELTAS[kind]
            target = _at(items, event, place)
            target[name] = (target.get(name) or "") + event["delta"]
        elif kind == _ANNOTATION:
            _at(items, event, _CONTENT).setdefault("annotations", []).append(event["annotation"])
    return [items[index] for index in sorted(items)]


def _at(items: dict[int, Item], event: dict[str, Any], place: tuple[str, str] | None) -> dict[str, Any]:
    item = items[event["output_index"]]
    if place is None:
        return item
    field, index = place
    part: dict[str, Any] = item[field][event[index]]
    return part
