"""Request and script → answer and usage."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_api.demo_backend.answers import Answer, answer, filler, in_pieces, usage
from responses_api.demo_backend.chat_request import ChatRequest
from responses_api.demo_backend.script import ScriptedCall, Steps
from responses_api.demo_backend.tool_calls import ToolCall

TOOL = {"type": "function", "function": {"name": "clock"}}
THINKING = ("I", " think", " with", " low", " effort", " about", " 1", " messages.")


def request(prompt: str = "What is 2+2?", *history: dict[str, Any], **fields: Any) -> ChatRequest:
    messages = [*history, {"role": "user", "content": prompt}]
    return msgspec.convert({"model": "demo", "messages": messages, **fields}, ChatRequest)


SUM = ("2+2", " is", " 4.")
CALL = (ToolCall("call_1_1", "clock", ("{}",)),)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(), Answer(SUM)),
        (request("Please refuse"), Answer(("I", " can't", " help", " with", " that."), refused=True)),
        (request("clock", tools=[TOOL]), Answer(calls=CALL, finish_reason="tool_calls")),
        (request(max_tokens=2), Answer(SUM[:2], finish_reason="length")),
        (request(max_completion_tokens=3), Answer(SUM)),
        (request(reasoning_effort="none"), Answer(SUM)),
        (request(reasoning_effort="low"), Answer(SUM, reasoning=THINKING)),
        (
            request(reasoning_effort="low", max_tokens=9),
            Answer(SUM[:1], reasoning=THINKING, finish_reason="length"),
        ),
        (
            request(reasoning_effort="low", max_tokens=2),
            Answer(reasoning=THINKING[:2], finish_reason="length"),
        ),
        (request("clock", tools=[TOOL], max_tokens=0), Answer(calls=CALL, finish_reason="tool_calls")),
    ],
)
def test_it_answers_from_the_request(asked: ChatRequest, expected: Answer) -> None:
    assert answer(asked, Steps()) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (Steps(text="Hello  there \n"), Answer(("Hello", "  there", " \n"))),
        (Steps(pieces=["a", "", "b c"]), Answer(("a", "", "b c"))),
        (Steps(text=""), Answer()),
        (Steps(tokens=2), Answer(("word ", "word "))),
        (Steps(answer_bytes=7), Answer(("word", " wo"))),
        (Steps(refusal="Not me."), Answer(("Not", " me."), refused=True)),
        (Steps(reasoning="Well then."), Answer(SUM, reasoning=("Well", " then."))),
        (Steps(finish_reason="content_filter"), Answer(SUM, finish_reason="content_filter")),
        (
            Steps(text="Wait", tool_calls=[ScriptedCall("f")]),
            Answer(("Wait",), calls=(ToolCall("call_1_1", "f", ("{}",)),), finish_reason="tool_calls"),
        ),
    ],
)
def test_a_script_comes_before_its_own_ideas(steps: Steps, expected: Answer) -> None:
    assert answer(request(), steps) == expected


def test_the_argument_pieces_are_as_long_as_told() -> None:
    steps = Steps(tool_calls=[ScriptedCall("f", {"city": "Paris"})], argument_chars=5)
    assert answer(request(), steps).calls[0].pieces == ('{"cit', 'y":"P', 'aris"', "}")


@pytest.mark.parametrize(
    ("response_format", "text"),
    [
        ({"type": "text"}, "2+2 is 4."),
        ({"type": "json_object"}, '{"answer": "2+2 is 4."}'),
        (
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "sum",
                    "schema": {
                        "type": "object",
                        "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}},
                    },
                },
            },
            '{"n": 1, "ok": true}',
        ),
    ],
)
def test_the_response_format_is_honoured(response_format: dict[str, Any], text: str) -> None:
    assert "".join(answer(request(response_format=response_format), Steps()).pieces) == text


def test_a_tool_output_is_answered_in_text_even_if_tools_are_required() -> None:
    asked = request("clock", tools=[TOOL], tool_choice="required")
    asked.said.append(msgspec.convert({"role": "tool", "content": "noon"}, type(asked.said[0])))
    assert answer(asked, Steps()) == Answer(("The", " tool", " answered:", " noon"))


def test_usage_counts_words_and_pieces() -> None:
    asked = request("What is 2+2?", {"role": "system", "content": "Be brief."}, reasoning_effort="low")
    assert usage(asked, answer(asked, Steps())) == {
        "prompt_tokens": 5,
        "completion_tokens": 11,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 8},
    }


def test_usage_counts_the_pieces_of_arguments() -> None:
    asked = request("clock", tools=[TOOL])
    assert usage(asked, answer(asked, Steps()))["completion_tokens"] == 1


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(in_pieces(text)) == text


@given(st.integers(0, 300), st.integers(1, 50))
def test_a_filler_has_the_bytes_and_the_pieces_it_is_told(answer_bytes: int, tokens: int) -> None:
    pieces = filler(answer_bytes, tokens)
    assert len(pieces) == tokens
    assert len("".join(pieces).encode()) == answer_bytes
    assert len("".join(filler(answer_bytes, None)).encode()) == answer_bytes
