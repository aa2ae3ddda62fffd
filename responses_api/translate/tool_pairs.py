"""Each tool output answers a call, each call gets an output: what every backend demands, checked before it is asked."""

from __future__ import annotations

from collections.abc import Iterable

from responses_api.errors import InvalidRequest
from responses_api.shapes.items import ItemView


def check_tool_pairs(items: Iterable[ItemView]) -> None:
    """Raises `InvalidRequest` in the live API's words for the first output without its call, or call left open."""
    calls: set[str] = set()
    answered: set[str] = set()
    for item in items:
        if item.type == "function_call":
            calls.add(item.call_id)
        elif item.type == "function_call_output":
            call_id = item.call_id
            if call_id not in calls:
                raise InvalidRequest(
                    f"No tool call found for function call output with call_id {call_id}.", param="input"
                )
            answered.add(call_id)
    for call_id in sorted(calls - answered):
        raise InvalidRequest(f"No tool output found for function call {call_id}.", param="input")
