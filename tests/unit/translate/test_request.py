"""Responses request → Chat Completions request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.errors import InvalidRequest
from responses_api.shapes.items import view
from responses_api.shapes.request import parse_create_request
from responses_api.translate.request import to_chat_request, to_messages
from responses_api.translate.tool_pairs import check_tool_pairs

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Looks outside.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}
CLOCK = {"type": "function", "name": "clock"}


def as_sent(body: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body))


def chat(history: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    request = parse_create_request(msgspec.json.encode({"model": "m", "input": "hi", **fields}))
    items = view([*(history or []), *request.items])
    return as_sent(to_chat_request(request, items, fields.get("instructions"), stream=bool(fields.get("stream"))))


def messages(*items: dict[str, Any], instructions: str | None = None) -> list[dict[str, Any]]:
    request = parse_create_request(msgspec.json.encode({"model": "m", "input": list(items)}))
    return as_sent(to_messages(view(request.items), instructions))


def test_a_string_is_one_user_message() -> None:
    assert chat() == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_an_empty_string_is_valid_input() -> None:
    assert chat(input="")["messages"] == [{"role": "user", "content": ""}]


def test_instructions_come_first_then_history_then_input() -> None:
    history = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "before"}]}]
    assert chat(history, instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "before"},
        {"role": "user", "content": "hi"},
    ]


@pytest.mark.parametrize(("role", "expected"), [("system", "system"), ("developer", "system"), ("user", "user")])
def test_roles(role: str, expected: str) -> None:
    assert messages({"role": role, "content": "x"}) == [{"role": expected, "content": "x"}]


def test_parts_of_every_kind() -> None:
    content = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
        {"type": "input_image", "image_url": "http://127.0.0.1/i.png"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
    ]
    assert messages({"role": "user", "content": content})[0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "http://127.0.0.1/i.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
    ]


def test_an_image_by_file_id_is_refused_not_dropped() -> None:
    with pytest.raises(InvalidRequest, match="image_url"):
        messages({"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]})


def test_one_turn_of_reasoning_text_and_calls_is_one_message() -> None:
    turn = [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hm"}],
        },
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"city":"Rome"}'},
        {"type": "function_call", "call_id": "b", "name": "clock", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "b", "output": "noon"},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "sun"}]},
    ]
    assert messages({"role": "user", "content": "?"}, *turn) == [
        {"role": "user", "content": "?"},
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "hm",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                },
                {"id": "b", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "content": "noon"},
        {"role": "tool", "tool_call_id": "a", "content": "sun"},
    ]


def test_calls_without_text_have_null_content() -> None:
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    assert messages(call)[0]["content"] is None


def test_two_answers_in_a_row_stay_two() -> None:
    said = messages({"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"})
    assert [message["content"] for message in said] == ["a", "b"]


def test_a_reasoning_summary_alone_is_not_replayed() -> None:
    summary = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "thought"}]}
    assert messages(summary, {"role": "assistant", "content": "a"}) == [{"role": "assistant", "content": "a"}]


def test_a_refusal_is_replayed_as_one() -> None:
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert messages(refused) == [{"role": "assistant", "content": "", "refusal": "No."}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"presence_penalty": 1, "frequency_penalty": -1}, {"presence_penalty": 1, "frequency_penalty": -1}),
        ({"max_output_tokens": 16}, {"max_completion_tokens": 16}),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"summary": "auto"}}, {}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
                }
            },
        ),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"user": "u", "service_tier": "flex"}, {"user": "u", "service_tier": "flex"}),
        (
            {"safety_identifier": "s", "prompt_cache_key": "k"},
            {"safety_identifier": "s", "prompt_cache_key": "k"},
        ),
        ({"metadata": {"a": "b"}, "store": False, "truncation": "auto"}, {}),
        ({"top_k": 5, "chat_template_kwargs": {"x": [1]}}, {"top_k": 5, "chat_template_kwargs": {"x": [1]}}),
        ({"tool_choice": "auto", "parallel_tool_calls": False}, {}),
    ],
)
def test_options(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert chat(**fields) == {"model": "m", "messages": [{"role": "user", "content": "hi"}], **expected}


def test_the_backend_may_want_max_tokens() -> None:
    request = parse_create_request(b'{"model":"m","input":"hi","max_output_tokens":20}')
    assert to_chat_request(request, view(request.items), None, max_tokens_field="max_tokens")["max_tokens"] == 20


def test_tools_are_nested_and_null_fields_left_out() -> None:
    body = chat(tools=[WEATHER, CLOCK], parallel_tool_calls=True)
    function = {name: value for name, value in WEATHER.items() if name != "type"}
    assert body["tools"] == [
        {"type": "function", "function": function},
        {"type": "function", "function": {"name": "clock"}},
    ]
    assert body["parallel_tool_calls"] is True
    assert "tool_choice" not in body


@pytest.mark.parametrize("choice", ["none", "required"])
def test_tool_choice_by_word(choice: str) -> None:
    assert chat(tools=[CLOCK], tool_choice=choice)["tool_choice"] == choice


def test_tool_choice_by_name() -> None:
    body = chat(tools=[CLOCK, WEATHER], tool_choice={"type": "function", "name": "clock"})
    assert body["tool_choice"] == {"type": "function", "function": {"name": "clock"}}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_allowed_tools_leaves_the_others_out(mode: str) -> None:
    allowed = {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": "clock"}]}
    body = chat(tools=[WEATHER, CLOCK], tool_choice=allowed)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["clock"]
    assert body.get("tool_choice", "auto") == mode


CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "x"}


def test_a_call_with_its_output_is_fine() -> None:
    check_tool_pairs(view([CALL, OUTPUT]))


@pytest.mark.parametrize("items", [[OUTPUT], [OUTPUT, CALL]])
def test_an_output_without_its_call_is_refused(items: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_tool_pairs(view(items))
    assert caught.value.message == "No tool call found for function call output with call_id call_1."
    assert caught.value.param == "input"


def test_a_call_without_its_output_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="No tool output found for function call call_1"):
        check_tool_pairs(view([CALL]))
