"""Responses request + the items before it → Chat Completions request. Pure.

Source: the OpenAI API reference of both APIs. What Chat Completions cannot say is refused at the door or dropped
here with a reason; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from responses_api.errors import InvalidRequest
from responses_api.shapes.items import ItemView, PartView
from responses_api.shapes.request import CreateRequest, JsonObjectFormat, JsonSchemaFormat, TextConfig
from responses_api.shapes.tools import Tool, ToolChoice

Message = dict[str, Any]
ChatRequest = dict[str, Any]

# Same name and meaning in both APIs. `metadata` and `store` are the gateway's own business.
_SAME_NAME = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "user",
)


def to_chat_request(
    request: CreateRequest,
    items: Iterable[ItemView],
    instructions: str | None,
    *,
    stream: bool = False,
    max_tokens_field: str = "max_completion_tokens",
) -> ChatRequest:
    """The body for `POST /chat/completions`, texts as raw JSON: `items` are the whole conversation, oldest first."""
    params = request.params
    chat: ChatRequest = {
        "model": request.served_as or request.model,
        "messages": to_messages(items, instructions),
    }
    for name in _SAME_NAME:
        value = getattr(params, name)
        if value is not None:
            chat[name] = value
    if params.max_output_tokens is not None:
        chat[max_tokens_field] = params.max_output_tokens
    if params.reasoning is not None and params.reasoning.effort is not None:
        chat["reasoning_effort"] = params.reasoning.effort
    if params.text is not None:
        chat |= _text_options(params.text)
    if request.wants_logprobs or params.top_logprobs:
        chat["logprobs"] = True
        chat["top_logprobs"] = params.top_logprobs or 0
    if request.tools:
        chat |= _tool_options(request.tools, request.tool_choice, params.parallel_tool_calls)
    if stream:
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    return chat | request.extra


def to_messages(items: Iterable[ItemView], instructions: str | None) -> list[Message]:
    """Items → chat messages, instructions first."""
    messages: list[Message] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    thread = _Thread(messages)
    for item in items:
        thread.add(item)
    return messages


class _Thread:
    """Folds what the Responses API keeps apart: one assistant turn's reasoning, text and calls are one message."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages
        self._turn: Message | None = None
        """The assistant message still open for more of the same turn."""

    def add(self, item: ItemView) -> None:
        kind = item.type
        if kind == "message" and item.role != "assistant":
            self._turn = None
            self._messages.append({"role": _role(item.role), "content": _content(item.content or [])})
        elif kind == "message":
            self._add_answer(item.content or [])
        elif kind == "function_call":
            self._add_call(item)
        elif kind == "function_call_output":
            self._turn = None
            output = _content(item.output) if isinstance(item.output, list) else item.output
            self._messages.append({"role": "tool", "tool_call_id": item.call_id, "content": output})
        elif kind == "reasoning":
            self._add_reasoning(item)
        # What hosted tools left in a conversation that another backend began is between its model and its tools; their
        # result is in the message that follows. A client that sends such an item here is refused at the door.

    def _open_turn(self, *taken: str) -> Message:
        """The open assistant message, or a new one where a field of `taken` is filled already."""
        if self._turn is None or any(self._turn.get(name) for name in taken):
            self._turn = {"role": "assistant", "content": None}
            self._messages.append(self._turn)
        return self._turn

    def _add_answer(self, parts: list[PartView]) -> None:
        turn = self._open_turn("content", "refusal", "tool_calls")
        turn["content"] = parts[0].text if len(parts) == 1 else _joined(parts)
        refusal = "".join(part.refusal for part in parts)
        if refusal:
            turn["refusal"] = refusal

    def _add_call(self, item: ItemView) -> None:
        function = {"name": item.name, "arguments": item.arguments}
        call = {"id": item.call_id, "type": "function", "function": function}
        self._open_turn().setdefault("tool_calls", []).append(call)

    def _add_reasoning(self, item: ItemView) -> None:
        # Models that think between tool calls (GLM, DeepSeek) need their thoughts back; a summary is not the thought.
        thought = _joined(item.content or [])
        if thought:
            self._open_turn("content", "tool_calls", "reasoning_content")["reasoning_content"] = thought


def _role(role: str) -> str:
    # Chat templates of open models know `system` only, and OpenAI's take it for `developer`.
    return "system" if role == "developer" else role


def _joined(parts: list[PartView]) -> str:
    return "".join(msgspec.json.decode(part.text, type=str) for part in parts)


def _content(parts: list[PartView]) -> Raw | list[dict[str, Any]]:
    if len(parts) == 1 and parts[0].type == "input_text":
        return parts[0].text
    return [_part(part) for part in parts]


def _part(part: PartView) -> dict[str, Any]:
    match part.type:
        case "input_image":
            if not part.image_url:
                raise InvalidRequest("This backend takes images by 'image_url' only, not by 'file_id'.", param="input")
            return {"type": "image_url", "image_url": _present({"url": part.image_url, "detail": part.detail})}
        case "input_file":
            names = ("file_data", "file_url", "file_id", "filename")
            return {"type": "file", "file": _present({name: getattr(part, name) for name in names})}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part.input_audio}
        case _:
            return {"type": "text", "text": part.text}


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _text_options(text: TextConfig) -> ChatRequest:
    options: ChatRequest = {}
    if text.verbosity is not None:
        options["verbosity"] = text.verbosity
    if isinstance(text.format, JsonObjectFormat):
        options["response_format"] = {"type": "json_object"}
    elif isinstance(text.format, JsonSchemaFormat):
        schema = {
            "name": text.format.name,
            "description": text.format.description,
            "schema": text.format.schema,
            "strict": text.format.strict,
        }
        options["response_format"] = {"type": "json_schema", "json_schema": _present(schema)}
    return options


def _tool_options(tools: list[Tool], choice: ToolChoice, parallel: bool | None) -> ChatRequest:
    chat_choice: Any = choice
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        # Only what is offered can be called: leaving the others out is the one constraint every backend keeps.
        allowed = {tool.get("name") for tool in choice["tools"]}
        tools = [tool for tool in tools if tool["name"] in allowed]
        chat_choice = choice.get("mode", "auto")
    elif isinstance(choice, dict):
        chat_choice = {"type": "function", "function": {"name": choice["name"]}}
    options: ChatRequest = {"tools": [_chat_tool(tool) for tool in tools]}
    if chat_choice != "auto":
        options["tool_choice"] = chat_choice
    if parallel is not None:
        options["parallel_tool_calls"] = parallel
    return options


def _chat_tool(tool: Tool) -> dict[str, Any]:
    names = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": _present({name: tool[name] for name in names})}
