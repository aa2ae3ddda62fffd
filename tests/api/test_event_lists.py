"""Event lists, whole: every event of a stream with everything in it, as it is on the wire.

An id is written as its prefix and the place at which it was first seen; a response object as its status and the types
of its output. Sequence numbers are checked where the stream is read.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec

from tests.api.events import read_events
from tests.fake_backend import FakeBackend
from tests.worker import Worker

_ID = re.compile(r"[a-z]{2,4}_[0-9a-f]{24,}\Z")


def stream(http: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    return read_events(http.post("/responses", json={"model": "m", "input": "hi", "stream": True, **fields}))


def plain(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without numbers and random ids; `response.` left out of the type."""
    ids: dict[str, str] = {}

    def of(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: of(each) for name, each in value.items() if name not in ("obfuscation", "sequence_number")}
        if isinstance(value, list):
            return [of(each) for each in value]
        if isinstance(value, str) and _ID.match(value):
            return ids.setdefault(value, f"{value.partition('_')[0]} {len(ids)}")
        return value

    made = []
    for event in events:
        told = dict(event)
        if "response" in told:
            response = told["response"]
            told["response"] = (response["status"], [item["type"] for item in response["output"]])
        made.append(of(told) | {"type": told["type"].removeprefix("response.")})
    return made


def begun(*, queued: bool = False) -> list[dict[str, Any]]:
    status = "queued" if queued else "in_progress"
    created = [{"type": "created", "response": (status, [])}]
    created += [{"type": "queued", "response": (status, [])}] if queued else []
    return [*created, {"type": "in_progress", "response": ("in_progress", [])}]


def message(index: int, item_id: str, pieces: list[str], *, status: str = "completed") -> list[dict[str, Any]]:
    """All events of one message of text."""
    text = "".join(pieces)
    place = {"item_id": item_id, "output_index": index, "content_index": 0}
    item = {"id": item_id, "type": "message", "role": "assistant"}
    part = {"type": "output_text", "annotations": [], "logprobs": []}
    return [
        {
            "type": "output_item.added",
            "output_index": index,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "output_text.delta", **place, "delta": piece, "logprobs": []} for piece in pieces),
        {"type": "output_text.done", **place, "text": text, "logprobs": []},
        {"type": "content_part.done", **place, "part": {**part, "text": text}},
        {
            "type": "output_item.done",
            "output_index": index,
            "item": {**item, "status": status, "content": [{**part, "text": text}]},
        },
    ]


def call(index: int, item_id: str, call_id: str, name: str, pieces: list[str]) -> list[dict[str, Any]]:
    """All events of one function call."""
    arguments = "".join(pieces)
    place = {"item_id": item_id, "output_index": index}
    item = {"id": item_id, "type": "function_call", "call_id": call_id, "name": name}
    return [
        {
            "type": "output_item.added",
            "output_index": index,
            "item": {**item, "status": "in_progress", "arguments": ""},
        },
        *({"type": "function_call_arguments.delta", **place, "delta": piece} for piece in pieces),
        {"type": "function_call_arguments.done", **place, "name": name, "arguments": arguments},
        {
            "type": "output_item.done",
            "output_index": index,
            "item": {**item, "status": "completed", "arguments": arguments},
        },
    ]


def ended(status: str, *output: str) -> dict[str, Any]:
    return {"type": status, "response": (status, list(output))}


def test_text(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(pieces=["Hel", "lo"])
    expected = [*begun(), *message(0, "msg 0", ["Hel", "lo"]), ended("completed", "message")]
    assert plain(stream(http)) == expected


def test_parallel_tools(http: httpx.Client, backend: FakeBackend) -> None:
    tools = [
        {"name": "weather", "arguments": '{"city":"Rome"}', "id": "call_1"},
        {"name": "clock", "arguments": "{}", "id": "call_2"},
    ]
    backend.script(pieces=["Let me see."], tool_calls=tools, argument_chars=8)
    assert plain(stream(http)) == [
        *begun(),
        *message(0, "msg 0", ["Let me see."]),
        *call(1, "fc 1", "call_1", "weather", ['{"city":', '"Rome"}']),
        *call(2, "fc 2", "call_2", "clock", ["{}"]),
        ended("completed", "message", "function_call", "function_call"),
    ]


def test_reasoning(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(reasoning="Two and", pieces=["4"])
    place = {"item_id": "rs 0", "output_index": 0, "content_index": 0}
    item = {"id": "rs 0", "type": "reasoning", "summary": []}
    thought = {"type": "reasoning_text", "text": "Two and"}
    assert plain(stream(http)) == [
        *begun(),
        {"type": "output_item.added", "output_index": 0, "item": {**item, "status": "in_progress", "content": []}},
        {"type": "content_part.added", **place, "part": {**thought, "text": ""}},
        {"type": "reasoning_text.delta", **place, "delta": "Two"},
        {"type": "reasoning_text.delta", **place, "delta": " and"},
        {"type": "reasoning_text.done", **place, "text": "Two and"},
        {"type": "content_part.done", **place, "part": thought},
        {"type": "output_item.done", "output_index": 0, "item": {**item, "status": "completed", "content": [thought]}},
        *message(1, "msg 1", ["4"]),
        ended("completed", "reasoning", "message"),
    ]


def test_a_refusal(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(refusal="I cannot.")
    place = {"item_id": "msg 0", "output_index": 0, "content_index": 0}
    item = {"id": "msg 0", "type": "message", "role": "assistant"}
    part = {"type": "refusal", "refusal": "I cannot."}
    assert plain(stream(http)) == [
        *begun(),
        {"type": "output_item.added", "output_index": 0, "item": {**item, "status": "in_progress", "content": []}},
        {"type": "content_part.added", **place, "part": {**part, "refusal": ""}},
        {"type": "refusal.delta", **place, "delta": "I"},
        {"type": "refusal.delta", **place, "delta": " cannot."},
        {"type": "refusal.done", **place, "refusal": "I cannot."},
        {"type": "content_part.done", **place, "part": part},
        {"type": "output_item.done", "output_index": 0, "item": {**item, "status": "completed", "content": [part]}},
        ended("completed", "message"),
    ]


def test_structured_output(http: httpx.Client, backend: FakeBackend) -> None:
    schema = {
        "type": "object",
        "properties": {"sum": {"type": "integer"}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    backend.script(pieces=['{"sum":', "4}"])
    events = stream(http, text={"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}})
    assert plain(events) == [*begun(), *message(0, "msg 0", ['{"sum":', "4}"]), ended("completed", "message")]
    assert events[-1]["response"]["text"]["format"]["schema"] == schema
    assert backend.bodies()[0]["response_format"]["json_schema"]["schema"] == schema


def test_a_failure_before_the_first_token(http: httpx.Client, backend: FakeBackend) -> None:
    """The stream had begun, and nothing had been said."""
    backend.script(pieces=["a", "b"], error_after=1, error={"message": "out of memory"})
    events = stream(http)
    assert plain(events) == [*begun(), ended("failed")]
    assert "out of memory" in events[-1]["response"]["error"]["message"]


def test_a_failure_after_the_first_token(http: httpx.Client, backend: FakeBackend) -> None:
    """What was said stays, and nothing that is not whole is called done."""
    backend.script(pieces=["a", "b"], error_after=2, error={"message": "out of memory"})
    events = stream(http)
    assert plain(events) == [*begun(), *message(0, "msg 0", ["a"])[:3], ended("failed", "message")]
    [item] = events[-1]["response"]["output"]
    assert (item["status"], item["content"][0]["text"]) == ("incomplete", "a")


class TestBackground:
    def follow(self, http: httpx.Client, response_id: str, after: int) -> list[dict[str, Any]]:
        answer = http.get(f"/responses/{response_id}", params={"stream": "true", "starting_after": after})
        return read_events(answer, first=after + 1)

    def test_resume(self, http: httpx.Client, worker: Worker, backend: FakeBackend) -> None:
        backend.script(pieces=["Hel", "lo"])
        events = stream(http, background=True)
        assert plain(events) == [
            *begun(queued=True),
            *message(0, "msg 0", ["Hel", "lo"]),
            ended("completed", "message"),
        ]
        response_id = events[0]["response"]["id"]
        for after in range(len(events)):
            assert self.follow(http, response_id, after) == events[after + 1 :]

    def test_cancel(self, http: httpx.Client, worker: Worker, backend: FakeBackend) -> None:
        backend.script(pieces=["a", "b", "c"], stall_after=2)
        body = {"model": "m", "input": "hi", "background": True, "stream": True}
        with http.stream("POST", "/responses", json=body) as answer:
            seen = b""
            pieces = answer.iter_bytes()
            while b'"delta":"a"' not in seen:
                seen += next(pieces)
            response_id = msgspec.json.decode(seen.split(b"data: ")[1].split(b"\n")[0])["response"]["id"]
            cancelled = http.post(f"/responses/{response_id}/cancel").json()
            seen += b"".join(pieces)
        events = read_events(httpx.Response(200, headers=answer.headers, content=seen))
        assert plain(events) == [
            *begun(queued=True),
            *message(0, "msg 0", ["a"])[:3],
            {"type": "failed", "response": ("cancelled", ["message"])},
        ]
        assert cancelled["status"] == "cancelled"
        assert self.follow(http, response_id, 0) == events[1:]

    def test_cancel_before_it_was_taken(self, http: httpx.Client) -> None:
        body = {"model": "m", "input": "hi", "background": True, "stream": True}
        with http.stream("POST", "/responses", json=body) as answer:
            seen = next(answer.iter_bytes())
            response_id = msgspec.json.decode(seen.split(b"data: ")[1].split(b"\n")[0])["response"]["id"]
        assert http.post(f"/responses/{response_id}/cancel").json()["status"] == "cancelled"
        events = read_events(http.get(f"/responses/{response_id}", params={"stream": "true"}))
        assert plain(events) == [*begun(queued=True)[:2], {"type": "failed", "response": ("cancelled", [])}]

    def test_a_failure_before_the_first_token(self, http: httpx.Client, worker: Worker, backend: FakeBackend) -> None:
        backend.script(status=500, error={"message": "out of memory"})
        events = stream(http, background=True)
        assert plain(events) == [*begun(queued=True)[:2], ended("failed")]
