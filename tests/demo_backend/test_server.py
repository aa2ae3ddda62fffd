"""The demo backend on a real socket, judged by httpx and by the official client."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from responses_api.demo_backend.chunks import CREATED
from tests.fake_backend import FakeBackend

ROOT = Path(__file__).resolve().parents[2]
SUM = [{"role": "user", "content": "What is 2+2?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeBackend]:
    backend = FakeBackend()
    yield backend
    backend.stop()


@pytest.fixture
def backend(server: FakeBackend) -> FakeBackend:
    server.reset()
    return server


@pytest.fixture
def http(backend: FakeBackend) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=backend.base_url, timeout=5) as client:
        yield client


@pytest.fixture
def client(backend: FakeBackend) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=backend.base_url, api_key="none", max_retries=0, timeout=5) as made:
        yield made


def chat(http: httpx.Client, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": "demo", "messages": SUM, **fields}
    return http.post("chat/completions", json=body, headers=headers)


def leave_early(backend: FakeBackend, **fields: Any) -> None:
    """Reads what comes within a moment, then closes the connection."""
    body = {"model": "demo", "messages": SUM, **fields}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{backend.base_url}/chat/completions", json=body, timeout=0.05)


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-demo-1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "demo",
        "system_fingerprint": "fp_demo",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        **more,
    }


USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 3,
    "total_tokens": 6,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
SUM_STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "2+2"}),
    chunk({"content": " is"}),
    chunk({"content": " 4."}),
    chunk({}, "stop"),
]


def events(text: str) -> list[Any]:
    data = [frame.removeprefix("data: ") for frame in text.split("\n\n") if frame]
    return [one if one == "[DONE]" else json.loads(one) for one in data]


def test_it_answers_with_a_document(http: httpx.Client, backend: FakeBackend) -> None:
    response = chat(http)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    message = {"role": "assistant", "content": "2+2 is 4.", "refusal": None}
    assert response.json() == {
        "id": "chatcmpl-demo-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": "demo",
        "system_fingerprint": "fp_demo",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    assert backend.bodies() == [{"model": "demo", "messages": SUM}]


def test_it_streams_word_by_word(http: httpx.Client) -> None:
    response = chat(http, stream=True)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events(response.text) == [*SUM_STREAM, "[DONE]"]


def test_it_streams_usage_when_asked(http: httpx.Client) -> None:
    response = chat(http, stream=True, stream_options={"include_usage": True})
    usage_chunk = {**chunk({}), "choices": [], "usage": USAGE}
    assert events(response.text) == [*({**one, "usage": None} for one in SUM_STREAM), usage_chunk, "[DONE]"]


def test_the_same_question_has_the_same_answer(http: httpx.Client, backend: FakeBackend) -> None:
    first = chat(http, logprobs=True, top_logprobs=3).content
    backend.reset()
    assert chat(http, logprobs=True, top_logprobs=3).content == first


def test_it_lists_its_model_and_takes_any_other(http: httpx.Client) -> None:
    assert [model["id"] for model in http.get("models").json()["data"]] == ["demo"]
    assert chat(http, model="gpt-9").json()["model"] == "gpt-9"


def test_it_is_healthy(backend: FakeBackend) -> None:
    assert httpx.get(f"http://{backend.address}/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, None),
        ('{"model": "demo"}', 400, "missing_required_parameter"),
        ('{"model": "missing-model", "messages": [{"role": "user"}]}', 404, "model_not_found"),
        ('{"model": "demo-script:tea", "messages": [{"role": "user"}]}', 400, "invalid_script"),
    ],
)
def test_a_wrong_request_is_refused(http: httpx.Client, body: str, status: int, code: str | None) -> None:
    response = http.post("chat/completions", content=body)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code


def test_an_unknown_path_is_not_found(http: httpx.Client) -> None:
    response = http.post("images/generations", json={})
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "Invalid URL (POST /v1/images/generations)"


# The official client


def test_the_official_client_reads_a_document(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo",
        messages=[
            {"role": "user", "content": "My name is Ada."},
            {"role": "user", "content": "What is my name?"},
        ],
    )
    assert answer.choices[0].message.content == "Your name is Ada."
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 8


def test_the_official_client_reads_a_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "What is 6*7?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    read = list(stream)
    assert [one.choices[0].delta.content for one in read if one.choices] == ["", "6*7", " is", " 42.", None]
    assert read[-1].usage is not None
    assert read[-1].usage.completion_tokens == 3


def test_the_official_client_runs_a_tool_loop(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client.chat.completions.create(model="demo", messages=messages, tools=[WEATHER])  # type: ignore[list-item]
    assert first.choices[0].finish_reason == "tool_calls"
    call = (first.choices[0].message.tool_calls or [])[0]
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18 °C"}]
    second = client.chat.completions.create(model="demo", messages=messages, tools=[WEATHER])  # type: ignore[list-item]
    assert second.choices[0].message.content == "The tool answered: 18 °C"


def test_the_official_client_gathers_streamed_tool_calls(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="demo",
        messages=[{"role": "user", "content": "weather in Paris"}],
        tools=[WEATHER],  # type: ignore[list-item]
    ) as stream:
        final = stream.get_final_completion()
    call = (final.choices[0].message.tool_calls or [])[0]
    assert (call.id, call.function.name, call.function.arguments) == (
        "call_1_1",
        "get_weather",
        '{"city":"Paris"}',
    )


def test_the_official_client_raises_for_a_scripted_refusal(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(status=429, headers={"retry-after": "7"})
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.response.headers["retry-after"] == "7"


def test_the_official_client_raises_for_an_error_within_a_stream(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(error_after=2)
    stream = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "What is 2+2?"}], stream=True
    )
    with pytest.raises(openai.APIError, match=r"The demo backend failed\."):
        list(stream)


# Scripts


def test_a_script_reaches_the_next_calls_only(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(times=2, status=503)
    assert [chat(http).status_code for _ in range(3)] == [503, 503, 200]


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"x-demo-script": '{"status": 418}'}, {}),
        ({}, {"model": "demo-script:status=418"}),
        ({}, {"demo_script": {"status": 418}}),
    ],
)
def test_a_call_may_bring_its_own_script(
    http: httpx.Client, backend: FakeBackend, headers: dict[str, str], fields: dict[str, Any]
) -> None:
    backend.script(status=503)
    assert chat(http, headers, **fields).status_code == 418
    assert chat(http).status_code == 503


def test_scripts_are_posted_and_forgotten(http: httpx.Client, backend: FakeBackend) -> None:
    address = f"http://{backend.address}/script"
    script = {"steps": {"status": 500}, "times": None}
    assert http.post(address, json=script).status_code == 204
    assert [chat(http).status_code for _ in range(2)] == [500, 500]
    assert http.delete(address).status_code == 204
    assert chat(http).status_code == 200


def test_a_wrong_script_is_refused(http: httpx.Client, backend: FakeBackend) -> None:
    response = http.post(f"http://{backend.address}/script", json={"steps": {"stauts": 500}})
    assert response.status_code == 400
    assert "stauts" in response.json()["error"]["message"]
    assert chat(http, {"x-demo-script": "{"}).json()["error"]["code"] == "invalid_script"


def test_health_and_models_follow_scripts_of_their_own(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(times=None, on="health", status=503)
    backend.script(on="models", hang_up=True)
    health = f"http://{backend.address}/health"
    assert [httpx.get(health).status_code for _ in range(2)] == [503, 503]
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("models")
    assert chat(http).status_code == 200


@pytest.mark.parametrize(
    ("steps", "status", "content_type", "text"),
    [
        (
            {"status": 400, "error": {"code": "context_length_exceeded"}},
            400,
            "application/json",
            '{"error":{"code":"context_length_exceeded"}}',
        ),
        (
            {"html": True},
            502,
            "text/html; charset=utf-8",
            "<html><head><title>502</title></head><body><h1>502 Bad Gateway</h1></body></html>\n",
        ),
        (
            {"html": True, "status": 200},
            200,
            "text/html; charset=utf-8",
            "<html><head><title>200</title></head><body><h1>200 Bad Gateway</h1></body></html>\n",
        ),
        ({"body": {"choices": []}}, 200, "application/json", '{"choices":[]}'),
        ({"body": "{", "headers": {"Content-Type": "text/plain"}}, 200, "text/plain", "{"),
    ],
)
def test_a_scripted_body_replaces_the_answer(
    http: httpx.Client,
    backend: FakeBackend,
    steps: dict[str, Any],
    status: int,
    content_type: str,
    text: str,
) -> None:
    backend.script(**steps)
    response = chat(http, stream=True)
    assert (response.status_code, response.headers["content-type"]) == (status, content_type)
    assert response.text == text


def test_a_stream_may_be_ignored(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(ignore_stream=True, text="Hi")
    assert chat(http, stream=True).json()["choices"][0]["message"]["content"] == "Hi"


def test_raw_chunks_arrive_as_they_are(http: httpx.Client, backend: FakeBackend) -> None:
    told = ["data: {}\n", "\n: hm\n\n", "data: é"]
    backend.script(raw_chunks=told)
    assert chat(http, stream=True).text == "".join(told)


def raw_packets(backend: FakeBackend) -> list[bytes]:
    """The chunks of a chunked body as they were framed (RFC 9112 §7.1): httpx would join them."""
    body = json.dumps({"model": "demo", "messages": SUM, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", backend.port), timeout=5) as connection:
        connection.sendall(head % len(body) + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    rest = received.partition(b"\r\n\r\n")[2]
    packets = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        packets.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return packets


def test_packets_may_cut_a_character_in_two(backend: FakeBackend) -> None:
    backend.script(raw_chunks=["é" * 3], packet_bytes=1)
    assert raw_packets(backend) == [b"\xc3", b"\xa9"] * 3 + [b""]


def test_frames_may_share_a_packet(backend: FakeBackend) -> None:
    backend.script(raw_chunks=["a", "b", "c"], frames_per_packet=2)
    assert raw_packets(backend) == [b"ab", b"c", b""]


def test_a_cut_stream_is_an_incomplete_read(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(cut_after=2)
    packets: list[bytes] = []
    with (
        http.stream("POST", "chat/completions", json={"model": "demo", "messages": SUM, "stream": True}) as cut,
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
    ):
        packets.extend(cut.iter_bytes())
    assert events(b"".join(packets).decode()) == SUM_STREAM[:2]


def test_a_cut_document_is_an_incomplete_read(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(cut_after=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        chat(http)


def test_it_may_hang_up_instead_of_answering(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(hang_up=True)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        chat(http)
    assert backend.calls()["aborted"] == 0


def test_a_stream_may_end_early_and_cleanly(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(end_after=3)
    assert events(chat(http, stream=True).text) == SUM_STREAM[:3]


@pytest.mark.parametrize(
    ("steps", "fields"),
    [
        ({"delay_ms": 60_000}, {}),
        ({"stall_after": 2}, {"stream": True}),
        ({"stall_after": 1}, {}),
        ({"tokens": 60, "tokens_per_second": 1}, {"stream": True}),
    ],
)
def test_a_client_that_leaves_is_noticed_at_once(
    backend: FakeBackend, steps: dict[str, Any], fields: dict[str, Any]
) -> None:
    backend.script(**steps)
    leave_early(backend, **fields)
    backend.wait_for(aborted=1, in_flight=0)


def test_a_delay_comes_before_the_headers(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(delay_ms=60)
    started = time.perf_counter()
    assert chat(http).status_code == 200
    assert time.perf_counter() - started >= 0.06


def test_a_stream_keeps_its_pace(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(tokens_per_second=100)
    started = time.perf_counter()
    assert events(chat(http, stream=True).text) == [*SUM_STREAM, "[DONE]"]
    assert time.perf_counter() - started >= 0.05


def test_a_schema_without_a_value_is_refused(http: httpx.Client) -> None:
    endless = {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}
    response = chat(http, response_format=endless)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_schema")


# Counting


def test_calls_are_counted_and_shown(http: httpx.Client, backend: FakeBackend) -> None:
    chat(http, {"x-trace": "7"})
    http.get("models")
    http.get(f"http://{backend.address}/health")
    counts = {"total": 3, "chat": 1, "models": 1, "health": 1, "aborted": 0, "in_flight": 0, "connections": 1}
    backend.wait_for(**counts)
    told = http.get(f"http://{backend.address}/calls").json()
    assert {name: count for name, count in told.items() if count or name in counts} == counts
    shown = http.get(f"http://{backend.address}/calls?bodies=1").json()["bodies"]
    assert [one["body"] for one in shown] == [{"model": "demo", "messages": SUM}]
    assert shown[0]["headers"]["x-trace"] == backend.headers()[0]["x-trace"] == "7"


def test_counts_are_reset(http: httpx.Client, backend: FakeBackend) -> None:
    chat(http)
    assert http.post(f"http://{backend.address}/calls/reset").status_code == 204
    assert backend.calls()["total"] == 0
    assert backend.bodies() == []


def test_a_call_in_flight_is_seen(backend: FakeBackend) -> None:
    backend.script(stall_after=0)
    with socket.create_connection(("127.0.0.1", backend.port)) as connection:
        body = json.dumps({"model": "demo", "messages": SUM}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)
        backend.wait_for(in_flight=1)
    backend.wait_for(in_flight=0, aborted=1)


# Starting and stopping


def test_a_fake_backend_starts_quickly_and_frees_its_port() -> None:
    started = time.perf_counter()
    backend = FakeBackend(text="Hi")
    assert time.perf_counter() - started < 0.5
    backend.script(stall_after=0)
    with httpx.Client(base_url=backend.base_url, timeout=0.05) as client, pytest.raises(httpx.ReadTimeout):
        chat(client)
    backend.stop()
    backend.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{backend.base_url}/models")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def answered(address: str) -> httpx.Response:
    deadline = time.monotonic() + 20
    while True:
        try:
            return httpx.get(address)
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)


@pytest.mark.processes
@pytest.mark.parametrize("command", [["-m", "responses_api.demo_backend"], ["manage.py", "demo_backend"]])
def test_it_runs_from_the_command_line(command: list[str]) -> None:
    port = free_port()
    options = ["--port", str(port), "--answer-bytes", "20", "--tokens-per-second", "0"]
    process = subprocess.Popen([sys.executable, *command, *options], cwd=ROOT)
    try:
        assert answered(f"http://127.0.0.1:{port}/health").status_code == 200
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1") as client:
            content = chat(client).json()["choices"][0]["message"]["content"]
        assert content == "word word word word "
    finally:
        process.terminate()
        process.wait(10)
