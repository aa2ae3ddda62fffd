"""Whether to call tools, which, and with what (OpenAI API reference, Chat → `tools`, `tool_choice`). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from responses_api.demo_backend.chat_request import ChatRequest, Function
from responses_api.demo_backend.schema_values import capitalised_words, value_for
from responses_api.demo_backend.script import ScriptedCall

# Argument text per streamed delta: backends send a few characters at a time.
DEFAULT_ARGUMENT_CHARS = 12


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    pieces: tuple[str, ...]

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


def choose_calls(request: ChatRequest, argument_chars: int) -> tuple[ToolCall, ...]:
    """The calls this request leads to, () for none; arguments satisfy the tool's `parameters`."""
    words = capitalised_words(request.prompt)
    turn = len(request.said)
    return tuple(
        ToolCall(f"call_{turn}_{nth}", chosen.name, cut(_arguments(chosen, words), argument_chars))
        for nth, chosen in enumerate(_chosen(request), start=1)
    )


def scripted_calls(calls: list[ScriptedCall], turn: int, argument_chars: int) -> tuple[ToolCall, ...]:
    """The script's calls; `turn`, the number of messages so far, keeps a conversation's ids apart."""
    return tuple(
        ToolCall(call.id or f"call_{turn}_{nth}", call.name, cut(_as_text(call.arguments), argument_chars))
        for nth, call in enumerate(calls, start=1)
    )


def cut(text: str, chars: int) -> tuple[str, ...]:
    return tuple(text[start : start + chars] for start in range(0, len(text), chars))


def _chosen(request: ChatRequest) -> list[Function]:
    mode, offered = _offer(request)
    if mode == "none" or not offered:
        return []
    prompt = request.prompt.lower()
    mentioned = [function for function in offered if _names(prompt, function)]
    if not mentioned and (mode == "required" or "use a tool" in prompt or "weather" in prompt):
        mentioned = [next((one for one in offered if "weather" in prompt and "weather" in one.name), offered[0])]
    return mentioned[:1] if request.parallel_tool_calls is False else mentioned


def _offer(request: ChatRequest) -> tuple[str, list[Function]]:
    """The mode, none, auto or required, and the functions `tool_choice` leaves to choose from."""
    offered = [tool.function for tool in request.tools or () if tool.function is not None]
    choice = request.tool_choice
    if choice is None or isinstance(choice, str):
        return choice or "auto", offered
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        names = [_function_name(tool) for tool in allowed.get("tools") or ()]
        return allowed.get("mode") or "auto", [one for one in offered if one.name in names]
    return "required", [one for one in offered if one.name == _function_name(choice)]


def _function_name(choice: dict[str, Any]) -> str | None:
    name = (choice.get("function") or {}).get("name")
    return name if isinstance(name, str) else None


def _names(prompt: str, function: Function) -> bool:
    name = function.name.lower()
    return name in prompt or name.replace("_", " ") in prompt


def _arguments(function: Function, words: list[str]) -> str:
    return _as_text(value_for({"type": "object", **(function.parameters or {})}, words))


def _as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
