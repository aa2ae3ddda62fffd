"""Chat Completions, completions and embeddings that were asked before."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.fake_backend import FakeBackend

MESSAGES = [{"role": "user", "content": "What is 2+2?"}]


def ask(http: httpx.Client, path: str = "/chat/completions", **fields: Any) -> httpx.Response:
    body = {"model": "m", **({"messages": MESSAGES} if path.startswith("/chat") else {}), **fields}
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer


def chunks(answer: httpx.Response) -> list[dict[str, Any]]:
    *frames, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def message(answer: httpx.Response) -> dict[str, Any]:
    """What was said, as JSON or as a stream."""
    if answer.headers["content-type"].startswith("application/json"):
        said: dict[str, Any] = answer.json()["choices"][0]["message"]
        return {name: value for name, value in said.items() if value}
    said = {"role": "assistant"}
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks(answer):
        for choice in chunk["choices"]:
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    for call in value:
                        into = calls.setdefault(call["index"], {"function": {"name": "", "arguments": ""}})
                        into |= {each: call[each] for each in ("id", "type") if each in call}
                        for each, text in call["function"].items():
                            into["function"][each] += text
                elif name != "role":
                    said[name] = said.get(name, "") + value
    if calls:
        said["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {name: value for name, value in said.items() if value}


ANSWERS: dict[str, dict[str, Any]] = {
    "text": {"pieces": ["Hel", "lo"]},
    "tools": {
        "tool_calls": [
            {"name": "weather", "arguments": '{"city":"Rome"}', "id": "call_1"},
            {"name": "clock", "arguments": "{}", "id": "call_2"},
        ]
    },
    "reasoning": {"reasoning": "Two and two", "text": "4"},
    "refusal": {"refusal": "I cannot."},
}


@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("streamed", [False, True])
def test_json_and_stream_share_one_entry(
    http: httpx.Client, backend: FakeBackend, script: dict[str, Any], streamed: bool
) -> None:
    backend.script(**script)
    first = ask(http, stream=streamed)
    answers = [ask(http), ask(http, stream=True), ask(http, stream=True, stream_options={"include_usage": True})]
    assert backend.calls()["chat"] == 1
    assert [each.headers["x-cache"] for each in (first, *answers)] == ["MISS", "HIT", "HIT", "HIT"]
    assert all(message(each) == message(first) for each in answers)
    whole, told, with_usage = answers
    assert whole.json()["usage"]["completion_tokens"] > 0
    assert all(chunk.get("usage") is None for chunk in chunks(told))
    assert chunks(with_usage)[-1]["usage"] == whole.json()["usage"]
    ids = {whole.json()["id"], chunks(told)[0]["id"], chunks(with_usage)[0]["id"]}
    assert len(ids) == 3
    assert len({chunk["id"] for chunk in chunks(told)}) == 1


def test_the_official_client_sees_no_difference(http: httpx.Client, backend: FakeBackend) -> None:
    said = []
    with openai.OpenAI(base_url=str(http.base_url), api_key="unused", max_retries=0) as client:
        for _ in range(2):
            stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)  # type: ignore[arg-type]
            said.append("".join(chunk.choices[0].delta.content or "" for chunk in stream))
            whole = client.chat.completions.create(model="m", messages=MESSAGES)  # type: ignore[arg-type]
            said.append(whole.choices[0].message.content or "")
    assert said == ["2+2 is 4."] * 4
    assert backend.calls()["chat"] == 1


@pytest.mark.parametrize(
    "script",
    [
        {"text": "cut", "finish_reason": "length"},
        {"text": ""},
        {"status": 500},
        {"pieces": ["a", "b"], "cut_after": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_not_whole_is_not_kept(
    http: httpx.Client, backend: FakeBackend, script: dict[str, Any], streamed: bool
) -> None:
    backend.script(**script)
    http.post("/chat/completions", json={"model": "m", "messages": MESSAGES, "stream": streamed})
    assert ask(http, stream=streamed).headers["x-cache"] == "MISS"
    assert ask(http, stream=streamed).headers["x-cache"] == "HIT"


@pytest.mark.parametrize("script", [{"error_after": 2}, {"end_after": 2}, {"malformed_after": 2}], ids=str)
def test_a_stream_that_broke_is_not_kept(http: httpx.Client, backend: FakeBackend, script: dict[str, Any]) -> None:
    backend.script(pieces=["a", "b"], **script)
    http.post("/chat/completions", json={"model": "m", "messages": MESSAGES, "stream": True})
    assert ask(http).headers["x-cache"] == "MISS"
    assert message(ask(http, stream=True))["content"] == "2+2 is 4."


def test_other_questions_are_other_questions(http: httpx.Client) -> None:
    ask(http, temperature=0)
    assert ask(http, temperature=0.0).headers["x-cache"] == "HIT"
    for fields in ({}, {"temperature": 1}, {"temperature": 0, "seed": 1}, {"temperature": 0, "n": 1}):
        assert ask(http, **fields).headers["x-cache"] == "MISS"


def test_what_two_readers_may_read_differently_is_bypassed(http: httpx.Client, backend: FakeBackend) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi","content":"ho"}]}'
    for _ in range(2):
        answer = http.post("/chat/completions", content=body, headers={"content-type": "application/json"})
        assert answer.headers["cache-status"].endswith('detail="a duplicate key"')
    assert backend.calls()["chat"] == 2


def test_embeddings_and_completions(http: httpx.Client, backend: FakeBackend) -> None:
    for path, fields in (
        ("/embeddings", {"input": ["tea"], "dimensions": 4}),
        ("/completions", {"prompt": "Once"}),
        ("/completions", {"prompt": "Once", "stream": True}),
    ):
        first, second = ask(http, path, **fields), ask(http, path, **fields)
        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
        if "stream" in fields:
            said = [
                [choice["text"] for chunk in chunks(each) for choice in chunk["choices"]] for each in (first, second)
            ]
        else:
            said = [each.json().get("data") or each.json()["choices"] for each in (first, second)]
        assert said[0] == said[1] != []
    assert (backend.calls()["embeddings"], backend.calls()["completions"]) == (1, 2)


@pytest.mark.parametrize("streamed", [False, True])
def test_many_at_once_over_two_processes_make_one_call(
    http: httpx.Client, other: httpx.Client, backend: FakeBackend, streamed: bool
) -> None:
    backend.script(pieces=["Hel", "lo"], delay_ms=200, tokens_per_second=20)
    with ThreadPoolExecutor(21) as pool:
        leader = pool.submit(ask, http, stream=True)
        backend.wait_for(in_flight=1)
        rest = [pool.submit(ask, (http, other)[n % 2], stream=streamed) for n in range(20)]
        answers = [leader.result(), *(each.result() for each in rest)]
    assert backend.calls()["chat"] == 1
    assert all(message(each)["content"] == "Hello" for each in answers)
    assert {each.headers["x-cache"] for each in answers[1:]} <= {"COLLAPSED", "HIT"}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_leader_that_fails_costs_the_others_nothing_but_time(
    http: httpx.Client, other: httpx.Client, backend: FakeBackend, streamed: bool
) -> None:
    backend.script(status=500, delay_ms=300)
    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(http.post, "/chat/completions", json={"model": "m", "messages": MESSAGES})
        backend.wait_for(in_flight=1)
        rest = [pool.submit(ask, client, stream=streamed) for client in (http, other, other)]
        assert leader.result().status_code == 502
        assert {message(each.result())["content"] for each in rest} == {"2+2 is 4."}
