"""Which tools are called."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.demo_backend.chat_request import ChatRequest
from responses_api.demo_backend.script import ScriptedCall
from responses_api.demo_backend.tool_calls import ToolCall, choose_calls, scripted_calls


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


WEATHER = tool("get_weather", city={"type": "string"}, unit={"enum": ["celsius", "kelvin"]})
CLOCK = tool("clock", zone={"type": "string"})
BARE = {"type": "function", "function": {"name": "bare"}}


def calls(prompt: str, *tools: dict[str, Any], **fields: Any) -> list[tuple[str, str]]:
    messages = [{"role": "user", "content": prompt}]
    request = msgspec.convert({"messages": messages, "tools": list(tools), **fields}, ChatRequest)
    return [(call.name, call.arguments) for call in choose_calls(request, argument_chars=12)]


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [named(name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


IN_PARIS = ("get_weather", '{"city":"Paris","unit":"celsius"}')
CLOCK_DEMO = ("clock", '{"zone":"demo"}')


@pytest.mark.parametrize(
    ("prompt", "fields", "expected"),
    [
        ("Say hello", {}, []),
        ("What is the weather in Paris?", {}, [IN_PARIS]),
        ("call get_weather for Paris", {}, [IN_PARIS]),
        ("Get weather for Paris", {}, [IN_PARIS]),
        ("use a tool", {}, [CLOCK_DEMO]),
        ("read the CLOCK", {}, [("clock", '{"zone":"CLOCK"}')]),
        ("clock and get_weather", {}, [CLOCK_DEMO, ("get_weather", '{"city":"demo","unit":"celsius"}')]),
        ("clock and get_weather", {"parallel_tool_calls": False}, [CLOCK_DEMO]),
        ("Say hello", {"tool_choice": "auto"}, []),
        ("Say hello", {"tool_choice": "required"}, [CLOCK_DEMO]),
        ("weather in Paris", {"tool_choice": "required"}, [IN_PARIS]),
        ("weather in Paris", {"tool_choice": "none"}, []),
        ("in Paris", {"tool_choice": named("get_weather")}, [IN_PARIS]),
        ("in Paris", {"tool_choice": named("unheard_of")}, []),
        ("in Paris", {"tool_choice": allowed("required", "get_weather")}, [IN_PARIS]),
        ("read the clock", {"tool_choice": allowed("auto", "get_weather")}, []),
        ("in Paris", {"tool_choice": allowed("auto", "get_weather")}, []),
    ],
)
def test_the_prompt_and_the_choice_decide(prompt: str, fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert calls(prompt, CLOCK, WEATHER, **fields) == expected


def test_without_tools_nothing_is_called() -> None:
    assert calls("use a tool") == []


def test_a_tool_without_parameters_gets_an_empty_object() -> None:
    assert calls("bare", BARE) == [("bare", "{}")]


def test_scripted_calls_are_verbatim_and_cut() -> None:
    told = [ScriptedCall("f", '{"a": 1', id="x"), ScriptedCall("g", {"b": 2}), ScriptedCall("h", "")]
    assert scripted_calls(told, turn=3, argument_chars=4) == (
        ToolCall("x", "f", ('{"a"', ": 1")),
        ToolCall("call_3_2", "g", ('{"b"', ":2}")),
        ToolCall("call_3_3", "h", ()),
    )
