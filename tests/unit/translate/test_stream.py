"""Chat chunks → Responses events: the whole list, every time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.shapes import events
from responses_api.shapes.request import parse_create_request
from responses_api.shapes.response import ResponseError, in_progress
from responses_api.translate.dialect import BackendStreamError
from responses_api.translate.outcome import conclude
from responses_api.translate.stream import StreamTranslator

NOW = 1_700_000_000


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def call(index: int | None = None, call_id: str | None = None, name: str | None = None, arguments: Any = "") -> Any:
    fields = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in fields.items() if value is not None}


def finish(reason: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def run(*chunks: dict[str, Any]) -> list[dict[str, Any]]:
    """All events of a stream that ends well, decoded as a client would."""
    request = parse_create_request(b'{"model":"m","input":"hi","stream":true}')
    response = in_progress(request, NOW, None)
    translator = StreamTranslator(response)
    sent = [events.encode(event) for event in translator.start()]
    for chunk in chunks:
        sent += map(events.encode, translator.feed(msgspec.json.encode(chunk)))
    closing, outcome = translator.finish()
    conclude(response, outcome, NOW + 1)
    sent += map(events.encode, [*closing, translator.terminal()])
    return [msgspec.json.decode(event) for event in sent]


def short(sent: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Each event as (type without prefix, what it says), so that a whole list can be read at a glance."""
    told = ("delta", "text", "refusal", "arguments")
    lines: list[tuple[Any, ...]] = []
    for event in sent:
        place = (event["output_index"],) if "output_index" in event else ()
        words = tuple(event[name] for name in told if name in event)
        lines.append((event["type"].removeprefix("response."), *place, *words))
    return lines


def check_invariants(sent: list[dict[str, Any]]) -> None:
    """What holds for every stream (the official SDK's accumulator relies on it)."""
    assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
    added = [event for event in sent if event["type"] == "response.output_item.added"]
    done = [event for event in sent if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == list(range(len(added)))
    assert [event["item"]["id"] for event in done] == [event["item"]["id"] for event in added]
    final = sent[-1]["response"]
    assert final["output"] == [event["item"] for event in done]
    for event in sent:
        if "item_id" in event:
            assert event["item_id"] == added[event["output_index"]]["item"]["id"]


TEXT_FRAME = [("created",), ("in_progress",), ("output_item.added", 0), ("content_part.added", 0)]


def test_text() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
    sent = run(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), finish("stop"), usage)
    assert short(sent) == [
        *TEXT_FRAME,
        ("output_text.delta", 0, "Hel"),
        ("output_text.delta", 0, "lo"),
        ("output_text.done", 0, "Hello"),
        ("content_part.done", 0),
        ("output_item.done", 0),
        ("completed",),
    ]
    check_invariants(sent)
    assert sent[0]["response"]["status"] == "in_progress"
    assert sent[0]["response"]["output"] == []
    assert sent[2]["item"]["content"] == []
    assert sent[3]["part"] == {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    assert sent[4]["logprobs"] == []
    final = sent[-1]["response"]
    assert final["status"] == "completed"
    assert final["completed_at"] == NOW + 1
    assert final["usage"]["total_tokens"] == 5


def test_reasoning_then_text() -> None:
    sent = run(delta(reasoning_content="h"), delta(reasoning="m"), delta(content="4"), finish("stop"))
    assert short(sent) == [
        ("created",),
        ("in_progress",),
        ("output_item.added", 0),
        ("content_part.added", 0),
        ("reasoning_text.delta", 0, "h"),
        ("reasoning_text.delta", 0, "m"),
        ("reasoning_text.done", 0, "hm"),
        ("content_part.done", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("content_part.added", 1),
        ("output_text.delta", 1, "4"),
        ("output_text.done", 1, "4"),
        ("content_part.done", 1),
        ("output_item.done", 1),
        ("completed",),
    ]
    check_invariants(sent)


def test_a_refusal() -> None:
    sent = run(delta(refusal="I can"), delta(refusal="not."), finish("stop"))
    assert short(sent) == [
        *TEXT_FRAME,
        ("refusal.delta", 0, "I can"),
        ("refusal.delta", 0, "not."),
        ("refusal.done", 0, "I cannot."),
        ("content_part.done", 0),
        ("output_item.done", 0),
        ("completed",),
    ]
    assert sent[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]
    check_invariants(sent)


def one_call(index: int, *pieces: str) -> list[tuple[Any, ...]]:
    return [
        ("output_item.added", index),
        *(("function_call_arguments.delta", index, piece) for piece in pieces),
        ("function_call_arguments.done", index, "".join(pieces)),
        ("output_item.done", index),
    ]


BEGIN: list[tuple[Any, ...]] = [("created",), ("in_progress",)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param(
            [
                delta(tool_calls=[call(0, "a", "f")]),
                delta(tool_calls=[call(0, arguments='{"x"')]),
                delta(tool_calls=[call(0, arguments=":1}")]),
            ],
            [*BEGIN, *one_call(0, '{"x"', ":1}")],
            id="one call in pieces",
        ),
        pytest.param(
            [
                delta(tool_calls=[call(0, "a", "f", "{}")]),
                delta(tool_calls=[call(1, "b", "g")]),
                delta(tool_calls=[call(1, arguments="{}")]),
            ],
            [*BEGIN, *one_call(0, "{}"), *one_call(1, "{}")],
            id="two calls one after the other",
        ),
        pytest.param(
            [delta(tool_calls=[call(0, "a", "f", "{}"), call(1, "b", "g", "{}"), call(2, "c", "h", "{}")])],
            [*BEGIN, *one_call(0, "{}"), *one_call(1, "{}"), *one_call(2, "{}")],
            id="three calls in one chunk",
        ),
        pytest.param(
            [
                delta(tool_calls=[call(0, "a", "f", "{"), call(1, "b", "g", "[")]),
                delta(tool_calls=[call(1, arguments="]"), call(0, arguments="}")]),
            ],
            [*BEGIN, *one_call(0, "{", "}"), *one_call(1, "[", "]")],
            id="interleaved calls are told one after the other",
        ),
        pytest.param(
            [delta(tool_calls=[call(None, "a", "f", "{}")]), delta(tool_calls=[call(None, "b", "g", "{}")])],
            [*BEGIN, *one_call(0, "{}"), *one_call(1, "{}")],
            id="without an index, told apart by id",
        ),
        pytest.param(
            [delta(tool_calls=[call(None, "a", "f", "{")]), delta(tool_calls=[call(None, arguments="}")])],
            [*BEGIN, *one_call(0, "{", "}")],
            id="neither index nor id belongs to the last",
        ),
        pytest.param(
            [delta(tool_calls=[call(0, "a", "f", "{}")]), delta(tool_calls=[call(0, "b", "g", "{}")])],
            [*BEGIN, *one_call(0, "{}"), *one_call(1, "{}")],
            id="all with index 0, told apart by id",
        ),
        pytest.param(
            [delta(tool_calls=[call(0, "a", "f", {"x": 1})])],
            [*BEGIN, *one_call(0, '{"x":1}')],
            id="arguments as an object",
        ),
        pytest.param(
            [delta(tool_calls=[call(0, "a", "f", ""), call(1, "b", "g", "{}")])],
            [*BEGIN, *one_call(0), *one_call(1, "{}")],
            id="a call without arguments before another",
        ),
        pytest.param(
            [delta(tool_calls=[call(0, "a", "f", "{")]), delta(tool_calls=[call(0, "a", "f", "}")])],
            [*BEGIN, *one_call(0, "{", "}")],
            id="id and name repeated in every delta",
        ),
    ],
)
def test_tool_calls(chunks: list[dict[str, Any]], expected: list[tuple[Any, ...]]) -> None:
    sent = run(*chunks, finish("tool_calls"))
    assert short(sent) == [*expected, ("completed",)]
    check_invariants(sent)
    names = [item["name"] for item in sent[-1]["response"]["output"]]
    assert names == ["f", "g", "h"][: len(names)]


def test_a_call_without_an_id_gets_one() -> None:
    item = run(delta(tool_calls=[call(0, None, "f", "{}")]), finish("tool_calls"))[-1]["response"]["output"][0]
    assert item["call_id"].startswith("call_")


def test_text_before_and_after_a_call() -> None:
    sent = run(delta(content="a"), delta(tool_calls=[call(0, "c", "f", "{}")]), delta(content="b"), finish("stop"))
    assert [item["type"] for item in sent[-1]["response"]["output"]] == [
        "message",
        "function_call",
        "message",
    ]
    check_invariants(sent)


@pytest.mark.parametrize(("reason", "told"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_cut_answer_is_incomplete_and_so_is_its_last_item(reason: str, told: str) -> None:
    sent = run(delta(reasoning="r"), delta(content="Once"), finish(reason))
    final = sent[-1]
    assert final["type"] == "response.incomplete"
    assert final["response"]["incomplete_details"] == {"reason": told}
    assert final["response"]["completed_at"] is None
    assert [item["status"] for item in final["response"]["output"]] == ["completed", "incomplete"]
    check_invariants(sent)


@pytest.mark.parametrize("chunks", [[], [delta(content="")], [delta(content=None)], [{"choices": []}]])
def test_silence_is_an_empty_message(chunks: list[dict[str, Any]]) -> None:
    sent = run(*chunks, finish("stop"))
    assert short(sent) == [
        *TEXT_FRAME,
        ("output_text.done", 0, ""),
        ("content_part.done", 0),
        ("output_item.done", 0),
        ("completed",),
    ]


def test_logprobs_travel_with_their_delta_and_are_gathered() -> None:
    entry = {"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}
    chunk = delta(content="a")
    chunk["choices"][0]["logprobs"] = {"content": [entry]}
    sent = run(chunk, chunk, finish("stop"))
    deltas = [event for event in sent if event["type"] == "response.output_text.delta"]
    assert [event["logprobs"] for event in deltas] == [[entry], [entry]]
    assert sent[-1]["response"]["output"][0]["content"][0]["logprobs"] == [entry, entry]


def failed(*chunks: dict[str, Any]) -> list[dict[str, Any]]:
    request = parse_create_request(b'{"model":"m","input":"hi","stream":true}')
    response = in_progress(request, NOW, None)
    translator = StreamTranslator(response)
    sent = [events.encode(event) for event in translator.start()]
    for chunk in chunks:
        sent += map(events.encode, translator.feed(msgspec.json.encode(chunk)))
    conclude(response, translator.fail(ResponseError("server_error", "It broke.")), NOW)
    sent.append(events.encode(translator.terminal()))
    return [msgspec.json.decode(event) for event in sent]


def test_a_failure_before_the_first_token() -> None:
    sent = failed()
    assert short(sent) == [("created",), ("in_progress",), ("failed",)]
    assert sent[-1]["response"]["error"] == {"code": "server_error", "message": "It broke."}
    assert sent[-1]["response"]["output"] == []


def test_a_failure_after_the_first_token_keeps_what_came() -> None:
    sent = failed(delta(content="Once"))
    assert short(sent) == [*TEXT_FRAME, ("output_text.delta", 0, "Once"), ("failed",)]
    item = sent[-1]["response"]["output"][0]
    assert item["status"] == "incomplete"
    assert item["content"][0]["text"] == "Once"
    assert sent[-1]["response"]["completed_at"] is None


@pytest.mark.parametrize("error", [{"message": "out of memory"}, "out of memory", {"detail": "out of memory"}])
def test_an_error_object_in_the_stream_is_raised(error: Any) -> None:
    with pytest.raises(BackendStreamError, match="out of memory"):
        run({"error": error})
