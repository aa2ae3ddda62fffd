"""A backend's own Responses events → ours."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.shapes import events as event_shapes
from responses_api.shapes.request import parse_create_request
from responses_api.shapes.response import ResponseError, in_progress
from responses_api.translate.dialect import BackendStreamError
from responses_api.translate.forward import ForwardTranslator, OwnIds, to_outcome

DIGITS = "0123456789abcdef01234567"
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


def translator(first: int = 0) -> ForwardTranslator:
    made = in_progress(parse_create_request(b'{"model":"m","input":"hi"}', f"resp_{DIGITS}"), 1_700_000_000, None)
    return ForwardTranslator(made, first)


def feed(one: ForwardTranslator, *events: dict[str, Any]) -> list[dict[str, Any]]:
    told = [each for event in events for each in one.feed(msgspec.json.encode(event))]
    return [msgspec.json.decode(event_shapes.encode(each)) for each in told]


ADDED = {
    "type": "response.output_item.added",
    "sequence_number": 77,
    "output_index": 0,
    "item": {"id": "msg_theirs", "type": "message", "status": "in_progress", "role": "assistant", "content": []},
}
DELTA = {
    "type": "response.output_text.delta",
    "sequence_number": 78,
    "item_id": "msg_theirs",
    "output_index": 0,
    "content_index": 0,
    "delta": "Hi",
}
SEARCHING = {"type": "response.web_search_call.searching", "item_id": "ws_theirs", "output_index": 1}


def test_numbers_and_ids_are_ours_and_the_rest_is_theirs() -> None:
    one = translator()
    assert len(one.start()) == 2
    created = {"type": "response.created", "response": {"id": "resp_theirs"}}
    added, delta, searching = feed(one, created, ADDED, DELTA, SEARCHING)
    assert [event["sequence_number"] for event in (added, delta, searching)] == [2, 3, 4]
    assert added["item"] == {**ADDED["item"], "id": f"msg_{DIGITS}800000"}  # type: ignore[dict-item]
    assert delta == {**DELTA, "sequence_number": 3, "item_id": f"msg_{DIGITS}800000"}
    assert searching["item_id"] == f"ws_{DIGITS}800001"
    assert one.has_output


def test_what_we_add_comes_first_and_moves_theirs() -> None:
    one = translator()
    one.add_item({"id": "cmp_1", "type": "compaction"})
    assert feed(one, ADDED)[0]["output_index"] == 1
    assert [item["type"] for item in one.snapshot()] == ["compaction", "message"]


def test_the_end_is_read_from_their_response() -> None:
    one = translator()
    output = [{"id": "msg_theirs", "type": "message", "content": None, "phase": None}]
    ended = {"type": "response.completed", "response": {"status": "completed", "output": output, "usage": USAGE}}
    assert feed(one, ADDED, ended)[1:] == []
    assert one.is_finished
    _, outcome = one.finish()
    assert outcome.output == [{"id": f"msg_{DIGITS}800000", "type": "message"}]
    assert outcome.usage is not None
    assert outcome.usage.total_tokens == 7


def test_a_failure_keeps_what_came() -> None:
    one = translator()
    feed(one, ADDED)
    assert len(one.fail(ResponseError("server_error", "gone")).output) == 1


@pytest.mark.parametrize(
    "event", [{"type": "error", "message": "out of memory"}, {"error": {"message": "out of memory"}}]
)
def test_an_error_event_is_raised(event: dict[str, Any]) -> None:
    with pytest.raises(BackendStreamError, match="out of memory"):
        translator().feed(msgspec.json.encode(event))


@pytest.mark.parametrize(
    ("answer", "incomplete", "error"),
    [
        ({"status": "completed"}, None, None),
        ({"status": "incomplete"}, "max_output_tokens", None),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter", None),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "m"}}, None, "rate_limit_exceeded"),
        ({"status": "failed"}, None, "server_error"),
        ({"status": "cancelled"}, None, "server_error"),
    ],
)
def test_how_it_ended(answer: dict[str, Any], incomplete: str | None, error: str | None) -> None:
    outcome = to_outcome({**answer, "output": [], "usage": USAGE}, OwnIds(f"resp_{DIGITS}"))
    assert outcome.incomplete == incomplete
    assert (outcome.error.code if outcome.error else None) == error


@pytest.mark.parametrize("usage", [{"input_tokens": "many"}, ["?"], "?"])
def test_a_usage_that_is_none_is_refused(usage: Any) -> None:
    with pytest.raises(ValueError, match="usage cannot be read"):
        to_outcome({"status": "completed", "usage": usage}, OwnIds(f"resp_{DIGITS}"))


def test_no_usage_is_none() -> None:
    assert to_outcome({"status": "completed", "usage": None}, OwnIds(f"resp_{DIGITS}")).usage is None
