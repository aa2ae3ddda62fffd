"""Tools and the choice among them (OpenAI API reference, `tools` and `tool_choice` of create)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from responses_api.errors import InvalidRequest
from responses_api.shapes.validation import decode, decode_any, invalid_type, invalid_value

Tool = dict[str, Any]
ToolChoice = str | dict[str, Any]
ToolName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_-]+$")]


class FunctionTool(Struct):
    """A function the client runs itself, in the Responses' flat form."""

    name: ToolName
    type: Literal["function"]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedChoice(Struct):
    type: Literal["function"]
    name: ToolName


class AllowedTool(Struct):
    type: str
    name: ToolName | None = None


class AllowedTools(Struct):
    type: Literal["allowed_tools"]
    tools: Annotated[list[AllowedTool], Meta(min_length=1, max_length=128)]
    mode: Literal["auto", "required"] = "auto"


class _Head(Struct):
    type: str


def parse_tools(raws: list[msgspec.Raw] | None) -> list[Tool]:
    """The request's tools, with absent `description`, `parameters` and `strict` as null: their echo needs the keys.

    Tools other than functions stay as they came. Raises `InvalidRequest` for a tool that is wrong.
    """
    tools: list[Tool] = []
    for index, raw in enumerate(raws or ()):
        path = f"tools[{index}]"
        head = decode(raw, _Head, path)
        if head.type != "function":
            # What else there is depends on the backend; its dialect says what it takes.
            tools.append(decode_any(raw, path))
            continue
        decode(raw, FunctionTool, path)
        tools.append({"description": None, "parameters": None, "strict": None, **decode_any(raw, path)})
    return tools


def parse_tool_choice(choice: str | dict[str, Any] | None, tools: list[Tool]) -> ToolChoice:
    """`none`, `auto`, `required`, one function, or `allowed_tools`; each name must be among `tools`."""
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise invalid_value(choice, ["none", "auto", "required"], "tool_choice")
        if choice == "required" and not tools:
            raise InvalidRequest(
                "Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice"
            )
        return choice
    for name in _names(choice, tools):
        if all(tool.get("name") != name for tool in tools):
            raise InvalidRequest(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    return choice


def _names(choice: dict[str, Any], tools: list[Tool]) -> list[str]:
    kind = choice.get("type")
    if not isinstance(kind, str):
        raise invalid_type("a string", kind, "tool_choice.type")
    encoded = msgspec.json.encode(choice)
    if kind == "function":
        return [decode(encoded, NamedChoice, "tool_choice").name]
    if kind == "allowed_tools":
        return [tool.name for tool in decode(encoded, AllowedTools, "tool_choice").tools if tool.name]
    if any(tool["type"] == kind for tool in tools):
        return []
    raise invalid_value(
        kind, sorted({"function", "allowed_tools", *(tool["type"] for tool in tools)}), "tool_choice.type"
    )
