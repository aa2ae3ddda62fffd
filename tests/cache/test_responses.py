"""A create that was asked before: the backend's call counter proves each claim."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from responses_api.config.schema import BackendConfig, ResponseCacheConfig, RouterConfig
from tests.api.events import read_events, types
from tests.fake_backend import FakeBackend

BODY: dict[str, Any] = {"model": "m", "input": "What is 2+2?"}


def ask(http: httpx.Client, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    answer = http.post("/responses", json={**BODY, **fields}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def output(answer: httpx.Response) -> Any:
    """What was said, without ids."""
    return [{name: value for name, value in item.items() if name != "id"} for item in answer.json()["output"]]


def test_every_answer_tells_who_gave_it(http: httpx.Client, backend: FakeBackend) -> None:
    """Asked for, from Redis, and the very same body from memory."""
    answers = [http.post("/responses", json=BODY) for _ in range(4)]
    assert [each.headers["x-cache"] for each in answers] == ["MISS", "HIT", "HIT", "HIT"]
    assert [each.headers["x-router-backend"] for each in answers] == ["fake"] * 4
    assert [each.headers["x-router-tries"] for each in answers] == ["1", "0", "0", "0"]
    assert all(0 < float(each.headers["x-router-overhead-ms"]) < 5000 for each in answers)


def test_a_repeat_is_a_hit_and_a_response_of_its_own(http: httpx.Client, backend: FakeBackend) -> None:
    first, second = ask(http, metadata={"a": "1"}), ask(http, metadata={"b": "2"})
    assert backend.calls()["chat"] == 1
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert first.headers["cache-status"] == "responses-router; fwd=miss; stored"
    assert second.headers["cache-status"].startswith("responses-router; hit; ttl=")
    assert second.headers["age"] == "0"
    assert first.headers["x-cache-entry"] == second.headers["x-cache-entry"]
    one, two = first.json(), second.json()
    assert one["id"] != two["id"]
    assert output(first) == output(second)
    assert two["output"][0]["id"].startswith(f"msg_{two['id'][5:]}")
    assert (one["usage"], one["output_text"]) == (two["usage"], two["output_text"])
    assert (one["metadata"], two["metadata"]) == ({"a": "1"}, {"b": "2"})
    assert list(one) == list(two)
    # It can be retrieved, continued and deleted like any other.
    assert http.get(f"/responses/{two['id']}").json() == two
    assert ask(http, input="And then?", previous_response_id=two["id"]).status_code == 200
    assert http.delete(f"/responses/{two['id']}").status_code == 200


def test_another_process_knows_it_at_once(http: httpx.Client, other: httpx.Client, backend: FakeBackend) -> None:
    ask(http)
    assert ask(other).headers["x-cache"] == "HIT"
    time.sleep(0.3)  # filed by now
    assert ask(other).headers["x-cache"] == "HIT"
    assert backend.calls()["chat"] == 1


def test_a_hit_is_stored_only_where_asked(http: httpx.Client) -> None:
    ask(http)
    hit = ask(http, store=False)
    assert hit.headers["x-cache"] == "HIT"
    assert http.get(f"/responses/{hit.json()['id']}").status_code == 404


ANSWERS: dict[str, dict[str, Any]] = {
    "text": {"pieces": ["Hel", "lo Ünï😀"]},
    "tools": {
        "pieces": ["Let me see."],
        "tool_calls": [
            {"name": "weather", "arguments": '{"city":"Rome"}', "id": "call_1"},
            {"name": "clock", "arguments": "{}", "id": "call_2"},
        ],
    },
    "reasoning": {"reasoning": "Two and two", "text": "4"},
    "refusal": {"refusal": "I cannot."},
}


@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("recorded", [True, False], ids=["recorded-stream", "recorded-json"])
def test_json_and_stream_share_one_entry(
    http: httpx.Client, backend: FakeBackend, script: dict[str, Any], recorded: bool
) -> None:
    backend.script(**script)
    first = ask(http, stream=recorded)
    whole, streamed = ask(http), ask(http, stream=True)
    assert backend.calls()["chat"] == 1
    assert (whole.headers["x-cache"], streamed.headers["x-cache"]) == ("HIT", "HIT")
    events = read_events(streamed)
    final = events[-1]["response"]
    assert [{**item, "id": ""} for item in final["output"]] == [{**item, "id": ""} for item in whole.json()["output"]]
    assert final["usage"] == whole.json()["usage"]
    ids = {event["item_id"] for event in events if "item_id" in event}
    assert ids <= {item["id"] for item in final["output"]}
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == final["output"]
    if recorded:
        # Event for event as it was.
        assert types(events) == types(read_events(first))
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert text == whole.json()["output_text"]


def test_logprobs_survive(http: httpx.Client) -> None:
    asked = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    first, second = ask(http, **asked), ask(http, **asked)
    assert second.headers["x-cache"] == "HIT"
    assert output(first) == output(second)
    assert output(first)[0]["content"][0]["logprobs"]


def test_obfuscation_is_the_streams_own(http: httpx.Client, backend: FakeBackend) -> None:
    ask(http, stream=True, stream_options={"include_obfuscation": False})
    events = read_events(ask(http, stream=True, stream_options={"include_obfuscation": True}))
    assert any("obfuscation" in event for event in events)
    assert not any("obfuscation" in event for event in read_events(ask(http, stream=True)))
    assert backend.calls()["chat"] == 1


def test_a_stream_is_replayed_with_its_pauses_if_asked(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(tokens=10, tokens_per_second=20)
    ask(http, stream=True)

    def seconds(**headers: str) -> float:
        began = time.monotonic()
        assert ask(http, headers, stream=True).headers["x-cache"] == "HIT"
        return time.monotonic() - began

    assert seconds(**{"x-cache-replay": "timed"}) > 0.35
    assert seconds(**{"x-cache-replay": "instant"}) < 0.3


def test_chains_are_known_by_what_was_said(http: httpx.Client, backend: FakeBackend) -> None:
    one, two = ask(http).json(), ask(http).json()
    assert ask(http, input="And 3+3?", previous_response_id=one["id"]).headers["x-cache"] == "MISS"
    # Another chain, the same words.
    assert ask(http, input="And 3+3?", previous_response_id=two["id"]).headers["x-cache"] == "HIT"
    other = ask(http, input="My name is Ada.").json()
    assert ask(http, input="And 3+3?", previous_response_id=other["id"]).headers["x-cache"] == "MISS"
    assert ask(http, input="And 3+3?").headers["x-cache"] == "MISS"


def test_a_conversation_gets_what_was_cached(http: httpx.Client, backend: FakeBackend) -> None:
    ids = [http.post("/conversations", json={}).json()["id"] for _ in range(2)]
    first, second = (ask(http, conversation=each) for each in ids)
    assert second.headers["x-cache"] == "HIT"
    for each in ids:
        items = http.get(f"/conversations/{each}/items", params={"order": "asc"}).json()["data"]
        assert [item["role"] for item in items] == ["user", "assistant"]
        assert ask(http, input="More?", conversation=each).status_code == 200
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize(
    ("script", "fields"),
    [
        ({"text": "cut", "finish_reason": "length"}, {}),
        ({"text": "cut", "finish_reason": "content_filter"}, {}),
        ({"text": ""}, {}),
        ({"text": "cut", "finish_reason": "length"}, {"stream": True}),
        ({"pieces": ["a", "b"], "cut_after": 2}, {"stream": True}),
        ({"pieces": ["a", "b"], "end_after": 2}, {"stream": True}),
        ({"pieces": ["a", "b"], "error_after": 2}, {"stream": True}),
    ],
    ids=str,
)
def test_what_is_not_whole_is_not_kept(
    http: httpx.Client, other: httpx.Client, backend: FakeBackend, script: dict[str, Any], fields: dict[str, Any]
) -> None:
    backend.script(**script)
    ask(http, **fields)
    assert ask(http, **fields).headers["x-cache"] == "MISS"
    assert backend.calls()["chat"] == 2
    assert ask(other).headers["x-cache"] == "HIT"


def test_errors_are_not_kept(http: httpx.Client, backend: FakeBackend) -> None:
    for _ in range(2):
        backend.script(status=500)
        assert http.post("/responses", json=BODY).status_code == 502
    assert backend.calls()["chat"] == 2
    assert ask(http).headers["x-cache"] == "MISS"


def test_background_responses_have_nothing_to_do_with_it(http: httpx.Client, backend: FakeBackend) -> None:
    ask(http)
    queued = ask(http, background=True)
    assert "x-cache" not in queued.headers
    assert queued.json()["status"] == "queued"


class TestHostedTools:
    @pytest.fixture
    def router_config(self, router_config: RouterConfig, backend: FakeBackend) -> RouterConfig:
        speaks_responses = BackendConfig("demo", backend.base_url, api="responses")
        return replace(router_config, backends=(speaks_responses,))

    def test_what_they_find_changes(self, http: httpx.Client, backend: FakeBackend) -> None:
        for _ in range(2):
            answer = ask(http, tools=[{"type": "web_search"}])
            assert answer.headers["cache-status"].endswith('detail="hosted tools"')
        assert backend.calls()["responses"] == 2

    def test_an_answer_without_them_is_given_again(self, http: httpx.Client, backend: FakeBackend) -> None:
        assert [ask(http).headers["x-cache"] for _ in range(2)] == ["MISS", "HIT"]
        assert backend.calls()["responses"] == 1


class TestAtOnce:
    @pytest.mark.parametrize("streamed", [False, True])
    @pytest.mark.parametrize("leader_streams", [False, True])
    def test_fifty_over_two_processes_make_one_call(
        self, http: httpx.Client, other: httpx.Client, backend: FakeBackend, streamed: bool, leader_streams: bool
    ) -> None:
        backend.script(pieces=["Hel", "lo", " you"], delay_ms=200, tokens_per_second=20 if leader_streams else None)
        with ThreadPoolExecutor(51) as pool:
            leader = pool.submit(ask, http, stream=leader_streams)
            backend.wait_for(in_flight=1)
            rest = [pool.submit(ask, (http, other)[n % 2], stream=streamed) for n in range(50)]
            answers = [each.result() for each in rest]
        assert backend.calls()["chat"] == 1
        assert {answer.headers["x-cache"] for answer in answers} <= {"COLLAPSED", "HIT"}
        assert sum(answer.headers["x-cache"] == "COLLAPSED" for answer in answers) > 10
        finals = [
            read_events(each)[-1]["response"] if streamed else each.json() for each in [leader.result(), *answers][1:]
        ]
        assert {final["output"][0]["content"][0]["text"] for final in finals} == {"Hello you"}
        assert len({final["id"] for final in finals}) == 50
        assert all(http.get(f"/responses/{final['id']}").status_code == 200 for final in finals[:5])

    def test_a_follower_sees_a_stream_while_it_comes(
        self, http: httpx.Client, other: httpx.Client, backend: FakeBackend
    ) -> None:
        backend.script(tokens=30, tokens_per_second=20)
        for client in (http, other):
            with ThreadPoolExecutor(1) as pool:
                leader = pool.submit(ask, http, stream=True, input=f"for {client.base_url}")
                time.sleep(0.3)
                began = time.monotonic()
                with client.stream(
                    "POST", "/responses", json={**BODY, "input": f"for {client.base_url}", "stream": True}
                ) as answer:
                    lines = answer.iter_lines()
                    next(line for line in lines if "output_text.delta" in line)
                    assert time.monotonic() - began < 0.6
                    assert answer.headers["x-cache"] == "COLLAPSED"
                    rest = list(lines)
                assert time.monotonic() - began > 0.8
                assert any('"response.completed"' in line for line in rest)
                leader.result()
            backend.script(tokens=30, tokens_per_second=20)
        assert backend.calls()["chat"] == 2

    @pytest.mark.parametrize("streamed", [False, True])
    def test_a_leader_that_fails_costs_the_others_nothing_but_time(
        self, http: httpx.Client, other: httpx.Client, backend: FakeBackend, streamed: bool
    ) -> None:
        backend.script(status=500, delay_ms=300)
        with ThreadPoolExecutor(5) as pool:
            leader = pool.submit(http.post, "/responses", json=BODY)
            backend.wait_for(in_flight=1)
            rest = [pool.submit(ask, client, stream=streamed) for client in (http, http, other, other)]
            assert leader.result().status_code == 502
            assert {each.result().status_code for each in rest} == {200}
        assert backend.calls()["chat"] <= 5

    @pytest.mark.parametrize("streamed", [False, True])
    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_a_leader_whose_client_leaves_finishes_for_the_others(
        self, http: httpx.Client, other: httpx.Client, backend: FakeBackend, streamed: bool, elsewhere: bool
    ) -> None:
        backend.script(tokens=50, tokens_per_second=25)
        with ThreadPoolExecutor(1) as pool:
            with http.stream("POST", "/responses", json={**BODY, "stream": True}) as answer:
                next(answer.iter_lines())
                follower = pool.submit(ask, other if elsewhere else http, stream=streamed)
                time.sleep(1)  # it has come, and the answer is not at its end
            result = follower.result()
        assert result.headers["x-cache"] == "COLLAPSED"
        assert (backend.calls()["chat"], backend.calls()["aborted"]) == (1, 0)

    def test_a_leader_alone_that_leaves_is_cancelled(self, http: httpx.Client, backend: FakeBackend) -> None:
        backend.script(tokens=100, tokens_per_second=20)
        with http.stream("POST", "/responses", json={**BODY, "stream": True}) as answer:
            next(answer.iter_lines())
        backend.wait_for(aborted=1)
        assert ask(http).headers["x-cache"] == "MISS"


class TestOnlyIfNamed:
    @pytest.fixture
    def cache_config(self) -> ResponseCacheConfig:
        return ResponseCacheConfig()

    def test_a_request_is_cached_when_it_names_a_key(self, http: httpx.Client, backend: FakeBackend) -> None:
        assert [ask(http).headers["x-cache"] for _ in range(2)] == ["BYPASS", "BYPASS"]
        assert ask(http).headers["cache-status"] == 'responses-router; fwd=bypass; detail="not asked for"'
        for header in ("x-cache-key", "x-bf-cache-key"):
            ask(http, {header: "session-1"})
            assert ask(http, {header: "session-1"}).headers["x-cache"] == "HIT"
        assert ask(http, {"x-cache-key": "session-2"}).headers["x-cache"] == "MISS"
        assert backend.calls()["chat"] == 5


@pytest.mark.parametrize("store", [True, False])
def test_every_repeat_has_an_answer_of_its_own(http: httpx.Client, backend: FakeBackend, store: bool) -> None:
    """Also those that a process answers from its memory, and the index hears of each."""
    body = {"model": "m", "input": "again and again", "store": store}
    answers = [http.post("/responses", json=body, headers={"x-cache-key": "own"}) for _ in range(6)]
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS"] + ["HIT"] * 5
    ids = [answer.json()["id"] for answer in answers]
    assert len(set(ids)) == 6
    found = [http.get(f"/responses/{each}").status_code for each in ids]
    assert found == [200 if store else 404] * 6
