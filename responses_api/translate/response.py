"""A whole Chat Completions answer → output items and outcome. Pure."""

from __future__ import annotations

from typing import Any

from responses_api.shapes.ids import ItemIds, new_id
from responses_api.shapes.items import Item
from responses_api.translate.chat import Completion, Message, encode_arguments, to_logprobs
from responses_api.translate.dialect import Seal
from responses_api.translate.outcome import Outcome, incomplete_reason


def from_completion(completion: Completion, response_id: str, seal: Seal | None = None) -> Outcome:
    """Items in the order a model makes them: reasoning, text or refusal, then calls.

    Raises `ValueError` for an answer without a message.
    """
    choice = completion.choices[0] if completion.choices else None
    if choice is None or choice.message is None:
        raise ValueError("it has no choices")
    output = _items(choice.message, to_logprobs(choice.logprobs), ItemIds.of_output(response_id), seal)
    incomplete = incomplete_reason(choice.finish_reason)
    if incomplete:
        # Only the last item can have been cut off (Open Responses, item states).
        output[-1]["status"] = "incomplete"
    usage = completion.usage.to_usage() if completion.usage else None
    return Outcome(output, usage, incomplete, service_tier=completion.service_tier)


def _items(message: Message, logprobs: list[dict[str, Any]], ids: ItemIds, seal: Seal | None) -> list[Item]:
    items: list[Item] = []
    if message.thought:
        items.append(reasoning_item(ids.new("rs"), message.thought, seal=seal))
    parts: list[Item] = []
    if message.text:
        parts.append(text_part(message.text, logprobs))
    if message.refusal:
        parts.append({"type": "refusal", "refusal": message.refusal})
    if parts or not message.tool_calls:
        items.append(message_item(ids.new("msg"), parts or [text_part("", [])]))
    for call in message.tool_calls or ():
        function = call.function
        items.append(
            call_item(
                ids.new("fc"),
                call.id or new_id("call"),
                (function.name if function else "") or "",
                encode_arguments(function.arguments if function else ""),
            )
        )
    return items


def text_part(text: str, logprobs: list[dict[str, Any]]) -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def message_item(item_id: str, parts: list[Item], status: str = "completed") -> Item:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": parts}


def call_item(item_id: str, call_id: str, name: str, arguments: str, status: str = "completed") -> Item:
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def reasoning_item(item_id: str, thought: str, status: str = "completed", seal: Seal | None = None) -> Item:
    content = [{"type": "reasoning_text", "text": thought}] if thought else []
    item = {"id": item_id, "type": "reasoning", "status": status, "summary": [], "content": content}
    if seal is not None:
        item["encrypted_content"] = seal(thought)
    return item
