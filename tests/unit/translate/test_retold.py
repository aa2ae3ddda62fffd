"""What a reader has of a stream, up to any event of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.demo_backend.answers import Answer
from responses_api.demo_backend.responses_answer import ResponsesAnswer
from responses_api.demo_backend.responses_request import ResponsesRequest
from responses_api.demo_backend.tool_calls import ToolCall
from responses_api.translate.retold import output_told

CALLS = (ToolCall("call_1", "weather", ('{"city":', '"Rome"}')), ToolCall("call_2", "clock", ("{}",)))
ANSWERS = {
    "text": Answer(("Hel", "lo")),
    "refusal": Answer(("I ", "cannot"), refused=True),
    "everything": Answer(("Hel", "lo"), reasoning=("Hm", "."), calls=CALLS),
}


def events_of(said: Answer, query: str | None = None) -> list[dict[str, Any]]:
    request = ResponsesRequest("m", "hi", include=["web_search_call.action.sources"])
    frames = ResponsesAnswer("resp_1", request, said, {}, query).frames()
    return [msgspec.json.decode(frame.split(b"data: ")[1]) for frame in frames]


@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS)
def test_at_its_end_a_stream_has_told_the_output(said: Answer) -> None:
    events = events_of(said, "tea")
    assert output_told(events) == events[-1]["response"]["output"]


def test_in_between_it_has_told_what_came() -> None:
    events = events_of(ANSWERS["everything"])
    for end, event in enumerate(events):
        told = output_told(msgspec.json.decode(msgspec.json.encode(events[:end])))
        begun = sum(each["type"] == "response.output_item.added" for each in events[:end])
        done = sum(each["type"] == "response.output_item.done" for each in events[:end])
        assert len(told) == begun
        assert {item.get("status", "completed") for item in told[:done]} <= {"completed"}
        assert {item["status"] for item in told[done:]} <= {"in_progress"}
        if event["type"] == "response.output_text.done":
            assert told[1]["content"][0]["text"] == "Hello"
        if event["type"] == "response.function_call_arguments.done" and event["output_index"] == 2:
            assert told[2] == {**told[2], "status": "in_progress", "arguments": '{"city":"Rome"}'}


def test_summaries_and_custom_tools_are_told_too() -> None:
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
        {
            "type": "response.reasoning_summary_part.added",
            "output_index": 0,
            "summary_index": 0,
            "part": {"type": "summary_text", "text": ""},
        },
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm"},
        {"type": "response.output_item.added", "output_index": 1, "item": {"type": "custom_tool_call", "input": ""}},
        {"type": "response.custom_tool_call_input.delta", "output_index": 1, "delta": "ls"},
        {"type": "response.something.new", "output_index": 1},
    ]
    assert output_told(events) == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {"type": "custom_tool_call", "input": "ls"},
    ]
