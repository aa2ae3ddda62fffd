"""`POST /v1/responses` with `stream: true`: whole event lists, broken backends, clients that leave."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import msgspec
import pytest
import redis

from responses_api.api import entry
from responses_api.config.schema import RedisConfig
from tests.api.events import read_events, types
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway


def stream(http: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    with http.stream("POST", "/responses", json={"model": "m", "input": "hi", "stream": True, **fields}) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["cache-control"] == "private, no-store"
        return read_events(answer)


def text_types(deltas: int) -> list[str]:
    return [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * deltas,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_text(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(pieces=["Hel", "lo ", "Ünï😀"])
    events = stream(http)
    assert types(events) == text_types(3)
    final = events[-1]["response"]
    assert final["output"][0]["content"][0]["text"] == "Hello Ünï😀"
    assert final["usage"]["output_tokens"] > 0
    assert "output_text" not in final
    assert backend.bodies()[0]["stream_options"] == {"include_usage": True}


def test_what_was_streamed_is_what_is_stored(http: httpx.Client) -> None:
    events = stream(http)
    final = events[-1]["response"]
    stored = http.get(f"/responses/{final['id']}").json()
    stored.pop("output_text")
    assert stored == final


def test_it_is_stored_before_the_terminal_event(http: httpx.Client) -> None:
    with http.stream("POST", "/responses", json={"model": "m", "input": "hi", "stream": True}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: ") and '"response.completed"' in line:
                response_id = msgspec.json.decode(line[6:])["response"]["id"]
                follow_up = {
                    "model": "m",
                    "input": "and?",
                    "previous_response_id": response_id,
                    "stream": True,
                }
                assert httpx.post(f"{http.base_url}responses", json=follow_up).status_code == 200
                return
    raise AssertionError("no terminal event")


MISBEHAVIOURS: list[dict[str, Any]] = [
    {"crlf": True},
    {"packet_bytes": 1},
    {"packet_bytes": 7, "crlf": True},
    {"frames_per_packet": 0},
    {"ping_every": 1},
    {"empty_choices_first": True},
    {"repeat_role": True, "null_content": True},
    {"usage_placement": "no_choices"},
    {"usage_placement": "every"},
    {"usage_placement": "finish"},
    {"no_done": True},
]


@pytest.mark.parametrize("steps", MISBEHAVIOURS, ids=str)
def test_what_real_backends_send_is_survived(http: httpx.Client, backend: FakeBackend, steps: dict[str, Any]) -> None:
    backend.script(pieces=["Ä", "😀", "!"], **steps)
    events = stream(http)
    assert types(events) == text_types(3)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Ä😀!"
    assert events[-1]["response"]["usage"] is not None


def test_no_usage_is_null(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(usage_placement="none")
    assert stream(http)[-1]["response"]["usage"] is None


@pytest.mark.parametrize(
    "steps", [{}, {"calls_in_one_chunk": True}, {"calls_without_index": True}, {"argument_chars": 1}], ids=str
)
def test_parallel_tool_calls(http: httpx.Client, backend: FakeBackend, steps: dict[str, Any]) -> None:
    calls = [
        {"name": "weather", "arguments": '{"city":"Rome"}', "id": "call_1"},
        {"name": "clock", "arguments": '{"zone":"é"}', "id": "call_2"},
    ]
    backend.script(tool_calls=calls, **steps)
    events = stream(http)
    squeezed = [kind for kind, before in zip(types(events), ["", *types(events)], strict=False) if kind != before]
    call = [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert squeezed == ["created", "in_progress", *call, *call, "completed"]
    output = events[-1]["response"]["output"]
    assert [(item["call_id"], item["name"], item["arguments"]) for item in output] == [
        (item["id"], item["name"], item["arguments"]) for item in calls
    ]


def test_reasoning(http: httpx.Client, backend: FakeBackend) -> None:
    for field in ("reasoning", "reasoning_content"):
        backend.script(reasoning="because", reasoning_field=field, pieces=["4"])
        events = stream(http)
        assert [item["type"] for item in events[-1]["response"]["output"]] == ["reasoning", "message"]
        assert "reasoning_text.done" in types(events)


def test_a_refusal(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(refusal="I cannot.")
    events = stream(http)
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]
    assert "refusal.done" in types(events)


@pytest.mark.parametrize(("reason", "told"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_cut_answer_is_incomplete(http: httpx.Client, backend: FakeBackend, reason: str, told: str) -> None:
    backend.script(pieces=["Once"], finish_reason=reason)
    final = stream(http)[-1]
    assert final["type"] == "response.incomplete"
    assert final["response"]["incomplete_details"] == {"reason": told}


BREAKS: list[dict[str, Any]] = [
    {"cut_after": 3},
    {"end_after": 3},
    {"error_after": 3, "error": {"message": "out of memory"}},
    {"malformed_after": 3},
    {"raw_chunks": ['data: {"choices":[{"delta":{"content":"a"}}]}\n\n', "data: [1,2\n\n"]},
    {"raw_chunks": ['data: {"choices":[{"delta":{"content":"a"}}]}\n\n', "<html>oops</html>"]},
]


@pytest.mark.parametrize("steps", BREAKS, ids=str)
def test_a_stream_that_breaks_ends_in_one_failed_event(
    http: httpx.Client, backend: FakeBackend, steps: dict[str, Any]
) -> None:
    pieces = {} if "raw_chunks" in steps else {"pieces": ["a", "b", "c", "d", "e"]}
    backend.script(**pieces, **steps)
    events = stream(http)
    assert types(events).count("failed") == 1
    assert types(events)[-1] == "failed"
    failed = events[-1]["response"]
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "server_error"
    assert "fake" in failed["error"]["message"]
    assert failed["output"][0]["status"] == "incomplete"
    assert http.get(f"/responses/{failed['id']}").json()["status"] == "failed"
    follow_up = http.post("/responses", json={"model": "m", "input": "?", "previous_response_id": failed["id"]})
    assert follow_up.status_code == 400


def test_an_error_before_the_first_event_is_an_http_error(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(status=500)
    answer = http.post("/responses", json={"model": "m", "input": "hi", "stream": True})
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "server_error"


def test_json_where_a_stream_was_asked_is_an_error(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(ignore_stream=True)
    assert http.post("/responses", json={"model": "m", "input": "hi", "stream": True}).status_code == 502


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_leaves_cancels_its_backend_call(gateway: Gateway, backend: FakeBackend, streamed: bool) -> None:
    backend.script(stall_after=2)
    body = msgspec.json.encode({"model": "m", "input": "hi", "stream": streamed})
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(
            b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        backend.wait_for(in_flight=1)
        if streamed:
            seen = b""
            while b"response.created" not in seen:
                seen += client.recv(65536)
    backend.wait_for(aborted=1, in_flight=0)


async def test_two_hundred_streams_at_once_stay_apart(gateway: Gateway) -> None:
    async with httpx.AsyncClient(
        base_url=gateway.base_url, timeout=30, limits=httpx.Limits(max_connections=None)
    ) as client:

        async def one(number: int) -> bool:
            question = {"model": "m", "input": f"What is {number}+1?", "stream": True}
            answer = await client.post("/responses", json=question)
            return f'"text":"{number}+1 is {number + 1}."' in answer.text

        assert all(await asyncio.gather(*(one(number) for number in range(200))))


def test_what_cannot_be_stored_has_failed(
    gateway: Gateway, http: httpx.Client, redis_cli: redis.Redis, redis_config: RedisConfig
) -> None:
    """The store goes away between question and answer: the client is told, by the one terminal event."""
    redis_cli.config_set("maxmemory-policy", "noeviction")
    redis_cli.config_set("maxmemory", "1")
    try:
        events = stream(http)
    finally:
        redis_cli.config_set("maxmemory", "0")
    assert types(events)[-1] == "failed"
    assert "store is unavailable" in events[-1]["response"]["error"]["message"]


def test_a_silent_stream_is_kept_alive_by_comments(
    gateway: Gateway, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "KEEP_ALIVE_SECONDS", 0.05)
    backend.script(pieces=["a", "b", "c"], tokens_per_second=4)
    answer = httpx.post(f"{gateway.base_url}/responses", json={"model": "m", "input": "hi", "stream": True})
    assert answer.content.count(b": keep-alive\n\n") >= 3
    assert types(read_events(answer)) == text_types(3)
