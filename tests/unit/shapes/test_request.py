"""What the door says about a create request: OpenAI's words, for every way to be wrong."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_api.errors import ApiError, InvalidRequest
from responses_api.shapes.request import parse_create_request
from responses_api.translate.request import to_messages

FUNCTION = {"type": "function", "name": "f"}


def refused(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse_create_request(msgspec.json.encode({"model": "m", "input": "hi", **fields}))
    return caught.value


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stream": "x"}, "Invalid type for 'stream': expected a boolean, but got a string instead."),
        ({"model": 5}, "Invalid type for 'model': expected a string, but got an integer instead."),
        ({"input": {}}, "Invalid type for 'input': expected one of a string or an array, but got an object instead."),
        ({"truncation": "bogus"}, "Invalid value: 'bogus'. Supported values are: 'auto' and 'disabled'."),
        (
            {"max_output_tokens": 0},
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 0 instead.",
        ),
        (
            {"temperature": 2.5},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        ),
        (
            {"metadata": {str(number): "" for number in range(17)}},
            "Invalid 'metadata': object above maximum properties. Expected <= 16.",
        ),
        ({"metadata": {"a": "b" * 513}}, "Invalid 'metadata[...]': string above maximum length. Expected <= 512."),
        ({"text": {"format": {"type": "json_schema"}}}, "Missing required parameter: 'text.format.name'."),
        (
            {"text": {"format": {"type": "yaml"}}},
            "Invalid value: 'yaml'. Supported values are: 'json_object', 'json_schema' and 'text'.",
        ),
        ({"tools": [{"type": "function"}]}, "Missing required parameter: 'tools[0].name'."),
        ({"conversation": "c"}, "Invalid 'conversation': 'c'. Expected an ID that begins with 'conv_'."),
        ({"conversation": {}}, "Missing required parameter: 'conversation.id'."),
        ({"tool_choice": "maybe"}, "Invalid value: 'maybe'. Supported values are: 'none', 'auto' and 'required'."),
        ({"tool_choice": "required"}, "Tool choice 'required' must be specified with 'tools' parameter."),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}},
            "Tool choice 'g' not found in 'tools' parameter.",
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
        ),
        (
            {"input": [{"type": "function_call", "call_id": "", "name": "f", "arguments": "{}"}]},
            "Invalid 'input[0].call_id': string below minimum length. Expected >= 1.",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "An image needs 'image_url' (a URL or a data URL).",
        ),
        ({"stream_options": {}}, "The 'stream_options' parameter is only allowed when 'stream' is enabled."),
        (
            {"max_tokens": 5},
            (
                "Unsupported parameter: 'max_tokens'. In the Responses API, this parameter has moved to "
                "'max_output_tokens'."
            ),
        ),
    ],
)
def test_it_is_refused_in_openais_words(fields: dict[str, Any], message: str) -> None:
    assert refused(**fields).message == message


def test_model_is_missed_before_input_and_both_before_anything_else() -> None:
    for body, param in ((b'{"stream":1}', "model"), (b'{"model":"m","stream":1}', "input")):
        with pytest.raises(ApiError) as caught:
            parse_create_request(body)
        assert caught.value.param == param


def test_items_get_ids_status_and_parts_and_keep_what_is_unknown() -> None:
    body = {
        "model": "m",
        "input": [
            {"role": "user", "content": "hi", "x_own": 1},
            {"type": "message", "id": "msg_1", "role": "assistant", "content": "yes", "phase": None},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "namespace": "n"},
        ],
    }
    user, assistant, call = parse_create_request(msgspec.json.encode(body)).items
    assert user["content"] == [{"type": "input_text", "text": "hi"}]
    assert user["type"] == "message"
    assert user["status"] == "completed"
    assert user["id"].startswith("msg_")
    assert user["x_own"] == 1
    assert assistant["id"] == "msg_1"
    assert assistant["content"][0]["type"] == "output_text"
    assert "phase" not in assistant
    assert call["id"].startswith("fc_")
    assert call["namespace"] == "n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["model", "input", "tools", "tool_choice", "text", "reasoning", "metadata", "include", "stream", "x"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_json_is_taken_or_refused_never_a_crash(body: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        parse_create_request(msgspec.json.encode({"model": "m", "input": "hi", **body}))


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse_create_request(body)
    assert caught.value.status == 400


PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "output_text", "refusal", "input_image", "input_file", "input_audio"])},
    optional={
        "text": st.text() | JSON,
        "refusal": st.text() | JSON,
        "image_url": st.text() | JSON,
        "file_data": st.text() | JSON,
        "detail": JSON,
        "input_audio": JSON,
    },
)
ITEM_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning"]) | JSON,
        "role": st.sampled_from(["user", "assistant", "system", "developer"]) | JSON,
        "content": st.text() | st.lists(PARTS, max_size=3) | JSON,
        "call_id": st.text(max_size=70) | JSON,
        "name": JSON,
        "arguments": JSON,
        "output": JSON,
        "summary": JSON,
        "id": JSON,
        "detail": JSON,
    },
)


@given(st.lists(ITEM_FIELDS, max_size=3))
def test_any_items_are_taken_or_refused(items: list[dict[str, Any]]) -> None:
    try:
        parsed = parse_create_request(msgspec.json.encode({"model": "m", "input": items}))
        sent = msgspec.json.encode(to_messages(parsed.views, None))
    except InvalidRequest:
        return
    assert all(item["id"] and item["type"] for item in parsed.items)
    assert all(message["role"] for message in msgspec.json.decode(sent))
