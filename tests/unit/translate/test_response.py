"""A whole chat completion → output items and outcome."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.translate.chat import decode_completion
from responses_api.translate.outcome import Outcome
from responses_api.translate.response import from_completion


def outcome(message: dict[str, Any], finish_reason: str = "stop", **fields: Any) -> Outcome:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return from_completion(
        decode_completion(msgspec.json.encode({"choices": [choice | fields.pop("choice", {})], **fields})), "resp_1"
    )


def without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if name != "id"} for item in items]


def text(words: str, **fields: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
    return {"type": "message", "status": "completed", "role": "assistant", "content": [part], **fields}


def test_text_is_a_message() -> None:
    result = outcome({"content": "Hello."})
    assert without_ids(result.output) == [text("Hello.")]
    assert result.output[0]["id"].startswith("msg_")
    assert result.incomplete is None
    assert result.error is None


def test_reasoning_comes_before_text() -> None:
    for field in ("reasoning", "reasoning_content"):
        items = outcome({"content": "4", field: "2+2"}).output
        assert [item["type"] for item in items] == ["reasoning", "message"]
        assert items[0]["content"] == [{"type": "reasoning_text", "text": "2+2"}]
        assert items[0]["summary"] == []


def test_parallel_calls_are_one_item_each() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": None, "type": "function", "function": {"name": "g", "arguments": {"y": 2}}},
    ]
    items = outcome({"content": None, "tool_calls": calls}, "tool_calls").output
    assert [(item["type"], item["name"], item["arguments"]) for item in items] == [
        ("function_call", "f", '{"x":1}'),
        ("function_call", "g", '{"y":2}'),
    ]
    assert items[0]["call_id"] == "a"
    assert items[1]["call_id"].startswith("call_")


def test_text_with_calls_keeps_both() -> None:
    calls = [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]
    assert [item["type"] for item in outcome({"content": "I look.", "tool_calls": calls}).output] == [
        "message",
        "function_call",
    ]


def test_a_refusal_is_a_part_of_its_own() -> None:
    assert outcome({"content": None, "refusal": "No."}).output[0]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize(
    ("finish_reason", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_what_was_cut_off_is_incomplete(finish_reason: str, reason: str) -> None:
    result = outcome({"content": "Once upon"}, finish_reason)
    assert result.incomplete == reason
    assert without_ids(result.output) == [text("Once upon", status="incomplete")]


@pytest.mark.parametrize("content", ["", None, []])
def test_silence_is_an_empty_message(content: Any) -> None:
    assert without_ids(outcome({"content": content}).output) == [text("")]


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert without_ids(outcome({"content": parts}).output) == [text("ab")]


def test_usage_with_its_details() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert msgspec.to_builtins(outcome({"content": "x"}, usage=usage).usage) == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
    }


def test_usage_with_nulls_and_gaps() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}
    result = outcome({"content": "x"}, usage=usage).usage
    assert result is not None
    assert result.total_tokens == 15


def test_no_usage_is_none() -> None:
    assert outcome({"content": "x"}).usage is None


def test_logprobs_get_the_keys_the_api_requires() -> None:
    content = [{"token": "é", "logprob": -0.5, "top_logprobs": [{"token": "e", "logprob": -1}]}]
    part = outcome({"content": "é"}, choice={"logprobs": {"content": content}}).output[0]["content"][0]
    assert part["logprobs"] == [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": [195, 169],
            "top_logprobs": [{"token": "e", "logprob": -1, "bytes": [101]}],
        }
    ]


@pytest.mark.parametrize("answer", [b"{}", b'{"choices":[]}', b'{"choices":[{"index":0}]}'])
def test_an_answer_without_a_message_is_no_answer(answer: bytes) -> None:
    with pytest.raises(ValueError, match="no choices"):
        from_completion(decode_completion(answer), "resp_1")
