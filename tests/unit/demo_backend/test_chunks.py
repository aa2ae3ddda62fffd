"""Answer → completion document, or frames."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.demo_backend.answers import Answer
from responses_api.demo_backend.chat_request import ChatRequest
from responses_api.demo_backend.chunks import CREATED, DONE, Identity, completion, frames
from responses_api.demo_backend.script import Steps
from responses_api.demo_backend.tool_calls import ToolCall

IDENTITY = Identity("chatcmpl-1", 'de"mo')
USAGE = {"total_tokens": 5}
HEAD = {"id": "chatcmpl-1", "created": CREATED, "model": 'de"mo', "system_fingerprint": "fp_demo"}
HELLO = Answer(("Hel", "lo é"))
CALLS = Answer(calls=(ToolCall("c1", "f", ('{"a"', ":1}")), ToolCall("c2", "g", ())), finish_reason="tool_calls")


def asked(**fields: Any) -> ChatRequest:
    return msgspec.convert({"model": "m", "messages": [], **fields}, ChatRequest)


def document(said: Answer, steps: Steps | None = None, **fields: Any) -> Any:
    return msgspec.json.decode(completion(IDENTITY, asked(**fields), said, USAGE, steps or Steps()))


def chunks(said: Answer, steps: Steps | None = None, **fields: Any) -> list[Any]:
    made = frames(IDENTITY, asked(**fields), said, USAGE, steps or Steps())
    assert made[-1] == DONE
    assert all(frame.startswith(b"data: ") and frame.endswith(b"}\n\n") for frame in made[:-1])
    return [msgspec.json.decode(frame[6:]) for frame in made[:-1]]


def deltas(said: Answer, steps: Steps | None = None, **fields: Any) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(said, steps, **fields) if chunk["choices"]]


def chunk(delta: Any, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice], **more}


OPENING = {"role": "assistant", "content": ""}


def test_a_text_is_one_document() -> None:
    message = {"role": "assistant", "content": "Hello é", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    assert document(HELLO) == {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


@pytest.mark.parametrize(
    ("said", "steps", "fields"),
    [
        (Answer(("No.",), refused=True), Steps(), {"content": None, "refusal": "No."}),
        (Answer(("Hi",), reasoning=("Hm",)), Steps(), {"content": "Hi", "reasoning_content": "Hm"}),
        (
            Answer(("Hi",), reasoning=("Hm",)),
            Steps(reasoning_field="reasoning"),
            {"content": "Hi", "reasoning": "Hm"},
        ),
        (HELLO, Steps(null_content=True), {"content": None}),
        (Answer(), Steps(), {"content": ""}),
        (
            CALLS,
            Steps(),
            {
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
                ],
            },
        ),
    ],
)
def test_a_document_carries_what_the_answer_has(said: Answer, steps: Steps, fields: dict[str, Any]) -> None:
    message = document(said, steps)["choices"][0]["message"]
    assert message == {"role": "assistant", "refusal": None, **fields}


def test_a_document_may_lack_its_usage() -> None:
    assert "usage" not in document(HELLO, Steps(usage_placement="none"))


def test_a_text_is_streamed_piece_by_piece() -> None:
    assert chunks(HELLO) == [
        chunk(OPENING),
        chunk({"content": "Hel"}),
        chunk({"content": "lo é"}),
        chunk({}, "stop"),
    ]


def test_usage_that_is_asked_for_has_a_chunk_of_its_own() -> None:
    assert chunks(HELLO, stream_options={"include_usage": True}) == [
        chunk(OPENING, usage=None),
        chunk({"content": "Hel"}, usage=None),
        chunk({"content": "lo é"}, usage=None),
        chunk({}, "stop", usage=None),
        {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE},
    ]


@pytest.mark.parametrize(
    ("placement", "usages"),
    [
        ("none", ["-", "-", "-"]),
        ("own", [None, None, None, USAGE]),
        ("finish", [None, None, USAGE]),
        ("every", [USAGE, USAGE, USAGE]),
        ("no_choices", [None, None, None, USAGE]),
    ],
)
def test_usage_goes_where_the_script_puts_it(placement: Any, usages: list[Any]) -> None:
    made = chunks(Answer(("Hi",)), Steps(usage_placement=placement))
    assert [one.get("usage", "-") for one in made] == usages
    assert [one for one in made if "choices" not in one] == (made[-1:] if placement == "no_choices" else [])


def test_reasoning_is_streamed_before_the_text() -> None:
    said = Answer(("Hi",), reasoning=("H", "m"))
    assert deltas(said) == [
        OPENING,
        {"reasoning_content": "H"},
        {"reasoning_content": "m"},
        {"content": "Hi"},
        {},
    ]
    assert deltas(said, Steps(reasoning_field="reasoning"))[1] == {"reasoning": "H"}


def test_a_refusal_is_streamed_as_one() -> None:
    assert deltas(Answer(("No", "."), refused=True)) == [OPENING, {"refusal": "No"}, {"refusal": "."}, {}]


FIRST = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
SECOND = {"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}


def arguments(text: str) -> dict[str, Any]:
    return {"index": 0, "function": {"arguments": text}}


def test_tool_calls_are_streamed_name_first() -> None:
    made = chunks(CALLS)
    assert made[-1] == chunk({}, "tool_calls")
    assert [one["choices"][0]["delta"] for one in made[:-1]] == [
        OPENING,
        {"tool_calls": [FIRST]},
        {"tool_calls": [arguments('{"a"')]},
        {"tool_calls": [arguments(":1}")]},
        {"tool_calls": [SECOND]},
    ]


def test_all_tool_call_deltas_may_share_a_chunk() -> None:
    together = [FIRST, arguments('{"a"'), arguments(":1}"), SECOND]
    assert deltas(CALLS, Steps(calls_in_one_chunk=True)) == [OPENING, {"tool_calls": together}, {}]


def test_tool_call_deltas_may_lack_their_index() -> None:
    made = deltas(CALLS, Steps(calls_without_index=True, calls_in_one_chunk=True))[1]["tool_calls"]
    assert made == [
        {name: value for name, value in one.items() if name != "index"}
        for one in (FIRST, arguments('{"a"'), arguments(":1}"), SECOND)
    ]


def test_the_first_chunk_may_have_no_choices() -> None:
    assert chunks(HELLO, Steps(empty_choices_first=True))[0]["choices"] == []


def test_the_role_may_be_in_every_delta() -> None:
    role = {"role": "assistant"}
    assert deltas(Answer(("Hi",), reasoning=("Hm",)), Steps(repeat_role=True)) == [
        OPENING,
        {**role, "reasoning_content": "Hm"},
        {**role, "content": "Hi"},
        role,
    ]


def test_content_may_be_null_wherever_there_is_no_text() -> None:
    assert deltas(Answer(("Hi",), reasoning=("Hm",)), Steps(null_content=True)) == [
        {"role": "assistant", "content": None},
        {"content": None, "reasoning_content": "Hm"},
        {"content": "Hi"},
        {"content": None},
    ]


def entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def test_logprobs_are_the_same_in_both_forms() -> None:
    first = {**entry("Hel", -0.01), "top_logprobs": [entry("Hel", -0.01), entry("Hel~1", -1.01)]}
    second = {**entry("lo é", -0.02), "top_logprobs": [entry("lo é", -0.02), entry("lo é~1", -1.02)]}
    told: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}
    assert document(HELLO, **told)["choices"][0]["logprobs"] == {"content": [first, second], "refusal": None}
    streamed = [one["choices"][0]["logprobs"] for one in chunks(HELLO, **told)]
    assert streamed == [
        None,
        {"content": [first], "refusal": None},
        {"content": [second], "refusal": None},
        None,
    ]


def test_done_may_be_left_out() -> None:
    assert DONE not in frames(IDENTITY, asked(), HELLO, USAGE, Steps(no_done=True))
