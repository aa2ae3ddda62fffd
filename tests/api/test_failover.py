"""Several endpoints, some of them sick."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from responses_api.backends import health
from responses_api.backends.registry import Endpoint, Listed
from responses_api.config.schema import BackendConfig, ModelConfig, RouterConfig, RoutingConfig, Timeouts
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.valkey import free_port

BODY = {"model": "m", "input": "hi"}


@pytest.fixture(scope="module")
def _backends() -> Iterator[list[FakeBackend]]:
    backends = [FakeBackend() for _ in range(3)]
    yield backends
    for each in backends:
        each.stop()


@pytest.fixture
def backends(_backends: list[FakeBackend]) -> list[FakeBackend]:
    for each in _backends:
        each.reset()
    return _backends


class Fleet:
    """Gateways of one configuration, as web processes are."""

    def __init__(self, base: RouterConfig, backends: Sequence[FakeBackend]) -> None:
        self.config = replace(
            base,
            backends=tuple(BackendConfig(name, each.base_url) for name, each in zip("abc", backends, strict=False)),
        )
        self.listed: Sequence[Listed] = ()
        self._gateways: list[Gateway] = []
        self._clients: list[httpx.Client] = []

    def start(self, **routing: Any) -> httpx.Client:
        """One process more."""
        rules = {"probe_interval": 0, "breaker_pause": 0.5, **routing}
        config = replace(self.config, routing=RoutingConfig(**rules))
        gateway = Gateway(config, read_listed=lambda: self.listed)
        self._gateways.append(gateway)
        self._clients.append(httpx.Client(base_url=gateway.base_url, timeout=30))
        return self._clients[-1]

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        for gateway in self._gateways:
            gateway.stop()


@pytest.fixture
def fleet(router_config: RouterConfig, backends: list[FakeBackend], settings: Any) -> Iterator[Fleet]:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    fleet = Fleet(router_config, backends)
    yield fleet
    fleet.stop()


def served(http: httpx.Client, requests: int, **fields: Any) -> Counter[str]:
    """By whom, of so many requests, all of which succeed."""
    answers = [http.post("/responses", json={**BODY, "store": False, **fields}) for _ in range(requests)]
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers][-1]
    return Counter(answer.headers["x-router-backend"] for answer in answers)


FAILURES = [
    {"status": 500},
    {"status": 503},
    {"status": 401},
    {"status": 429, "headers": {"retry-after": "1"}},
    {"hang_up": True},
    {"html": True, "status": 200},
    {"status": 404, "error": {"message": "The model `m` does not exist.", "code": "model_not_found"}},
]


@pytest.mark.parametrize(
    ("failure", "streamed"),
    # A stream that is cut has begun.
    [*((each, False) for each in (*FAILURES, {"cut_after": 0})), *((each, True) for each in FAILURES)],
    ids=str,
)
@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
def test_what_one_cannot_another_does(
    fleet: Fleet, backends: list[FakeBackend], failure: dict[str, Any], streamed: bool, path: str
) -> None:
    http = fleet.start()
    for each in backends[:2]:
        each.script(times=None, **failure)
    body = {"model": "m", "stream": streamed, "input": "hi", "messages": [{"role": "user", "content": "hi"}]}
    body.pop("messages" if path == "/responses" else "input")
    for _ in range(6):
        answer = http.post(path, json=body)
        assert (answer.status_code, answer.headers["x-router-backend"]) == (200, "c"), answer.text
        assert 1 <= int(answer.headers["x-router-tries"]) <= 3
        assert 0 < float(answer.headers["x-router-overhead-ms"]) < 5000
    assert backends[2].calls()["chat"] == 6


def test_a_client_s_mistake_is_nobody_elses(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start()
    for each in backends:
        each.script(times=None, status=400, error={"message": "too hot", "param": "temperature"})
    answer = http.post("/responses", json=BODY)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "too hot")
    assert sum(each.calls()["chat"] for each in backends) == 1


def test_a_stream_that_has_begun_is_never_begun_again(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start()
    for each in backends:
        each.script(times=None, cut_after=3)
    answer = http.post("/responses", json={**BODY, "stream": True})
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"
    assert sum(each.calls()["chat"] for each in backends) == 1


def test_at_most_max_tries_are_asked(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start(max_tries=2)
    for each in backends:
        each.script(times=None, status=500)
    assert http.post("/responses", json=BODY).status_code == 502
    assert sum(each.calls()["chat"] for each in backends) == 2


def test_one_that_fails_is_spared_and_recovers(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start(breaker_failures=3)
    backends[0].script(times=3, status=500)
    served(http, 40)
    asked = backends[0].calls()["chat"]
    assert asked == 3
    served(http, 10)
    assert backends[0].calls()["chat"] == asked
    time.sleep(0.6)
    assert served(http, 30)["a"] > 3


def test_what_one_process_learns_the_others_know(fleet: Fleet, backends: list[FakeBackend]) -> None:
    one, two = fleet.start(breaker_failures=2, breaker_pause=20), fleet.start(breaker_failures=2, breaker_pause=20)
    backends[0].script(times=None, status=500)
    served(one, 30)
    asked = backends[0].calls()["chat"]
    time.sleep(2 * health.SHARE_SECONDS + 0.2)
    served(two, 30)
    assert backends[0].calls()["chat"] == asked


def test_probes_spare_and_bring_back(fleet: Fleet, backends: list[FakeBackend]) -> None:
    """Without a single request."""
    fleet.config = replace(
        fleet.config, backends=(*fleet.config.backends, BackendConfig("gone", f"http://127.0.0.1:{free_port()}/v1"))
    )
    http = fleet.start(probe_interval=0.2, breaker_pause=2)
    other = fleet.start(probe_interval=0.2, breaker_pause=2)
    backends[0].script(times=None, on="models", status=500)
    time.sleep(2.2)
    for each in (http, other):
        assert set(served(each, 30)) == {"b", "c"}
    backends[0].app.scripts.clear()
    time.sleep(1.5)
    assert set(served(other, 60)) == {"a", "b", "c"}


def test_a_rest_that_was_asked_for_is_given(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start()
    backends[0].script(times=1, status=429, headers={"retry-after": "1"})
    served(http, 40)
    assert backends[0].calls()["chat"] == 1
    time.sleep(1.1)
    assert served(http, 40)["a"] > 3


def test_while_none_may_be_asked_clients_are_told_when(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start(breaker_failures=1, breaker_pause=30)
    for each in backends:
        each.script(times=None, status=500)
    assert http.post("/responses", json=BODY).status_code == 502
    answer = http.post("/responses", json=BODY)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "backend_unavailable"
    assert 25 <= int(answer.headers["retry-after"]) <= 30
    assert sum(each.calls()["chat"] for each in backends) == 3


def test_the_only_endpoint_is_asked_whatever_it_did(fleet: Fleet, backends: list[FakeBackend]) -> None:
    fleet.config = replace(fleet.config, backends=fleet.config.backends[:1])
    http = fleet.start(breaker_failures=1, breaker_pause=30)
    backends[0].script(times=4, status=500)
    assert [http.post("/responses", json=BODY).status_code for _ in range(5)] == [502] * 4 + [200]


def test_a_conversation_stays_where_it_is(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start()
    for _ in range(6):
        first = http.post("/responses", json=BODY)
        backend, previous = first.headers["x-router-backend"], first.json()["id"]
        for _ in range(4):
            answer = http.post("/responses", json={**BODY, "previous_response_id": previous})
            assert answer.headers["x-router-backend"] == backend
            previous = answer.json()["id"]
    conversation = http.post("/conversations", json={}).json()["id"]
    assert len(served(http, 6, conversation=conversation)) == 1


def test_a_conversation_moves_when_it_must(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start()
    first = http.post("/responses", json=BODY)
    backends["abc".index(first.headers["x-router-backend"])].script(times=None, status=500)
    second = http.post("/responses", json={**BODY, "previous_response_id": first.json()["id"]})
    assert second.status_code == 200
    assert second.headers["x-router-backend"] != first.headers["x-router-backend"]


def test_weights_are_shares(fleet: Fleet, backends: list[FakeBackend]) -> None:
    a, b, c = fleet.config.backends
    fleet.config = replace(fleet.config, backends=(replace(a, weight=3), b, replace(c, weight=0)))
    shares = served(fleet.start(), 200)
    assert set(shares) == {"a", "b"}
    assert 120 < shares["a"] < 180


def test_the_least_busy_is_asked(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start(lb_policy="least_busy")
    for each in backends:
        each.script(times=1, tokens=200, tokens_per_second=20)
    held = []
    for _ in range(3):
        opened = http.build_request("POST", "/responses", json={**BODY, "stream": True, "store": False})
        held.append(http.send(opened, stream=True))
    assert {each.headers["x-router-backend"] for each in held} == {"a", "b", "c"}
    left = held.pop()
    left.close()
    backends["abc".index(left.headers["x-router-backend"])].wait_for(in_flight=0)
    assert served(http, 5) == {left.headers["x-router-backend"]: 5}
    for each in held:
        each.close()


def test_a_drained_one_finishes_and_starts_nothing(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start()
    for each in backends:
        each.script(times=1, tokens=40, tokens_per_second=20)
    with http.stream("POST", "/responses", json={**BODY, "stream": True}) as answer:
        name = answer.headers["x-router-backend"]
        fleet.listed = [Listed(name, is_drained=True)]
        time.sleep(1.3)
        text = b"".join(answer.iter_raw()).decode()
    assert "response.completed" in text
    assert name not in served(http, 40)
    fleet.listed = []
    time.sleep(1.3)
    assert name in served(http, 60)


def test_what_the_console_lists_is_used(fleet: Fleet, backends: list[FakeBackend]) -> None:
    fleet.config = replace(fleet.config, backends=fleet.config.backends[:1])
    http = fleet.start()
    assert set(served(http, 5)) == {"a"}
    fleet.listed = [Listed("new", is_drained=False, endpoint=Endpoint("new", backends[1].base_url, weight=99))]
    time.sleep(1.3)
    assert "new" in served(http, 20)
    fleet.listed = [Listed("a", is_drained=True)]
    time.sleep(1.3)
    answer = http.post("/responses", json=BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_drained")


def test_a_client_may_have_less_patience(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start()
    for each in backends:
        each.script(times=None, delay_ms=5000)
    began = time.monotonic()
    answer = http.post("/responses", json=BODY, headers={"x-request-timeout": "0.5"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_passed")
    assert time.monotonic() - began < 2
    assert sum(each.calls()["chat"] for each in backends) == 1
    for bad in ("0", "soon", "-1", "inf", "nan"):
        answer = http.post("/responses", json=BODY, headers={"x-request-timeout": bad})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-request-timeout")


def test_a_slow_one_is_left_in_time(fleet: Fleet, backends: list[FakeBackend]) -> None:
    """One first-byte timeout later another answers; soon the slow one is not asked."""
    fleet.config = replace(
        fleet.config,
        backends=tuple(replace(each, timeouts=Timeouts(first_byte_timeout=0.3)) for each in fleet.config.backends),
    )
    http = fleet.start(breaker_failures=2, breaker_pause=20)
    backends[0].script(times=None, delay_ms=3000)
    served(http, 30)
    assert backends[0].calls()["chat"] == 2


def test_late_first_bytes_are_failures_where_that_is_set(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start(breaker_failures=2, breaker_pause=20, slow_first_byte=0.2)
    backends[0].script(times=None, delay_ms=300)
    served(http, 40, stream=True)
    assert backends[0].calls()["chat"] == 2


def test_models_may_have_other_names_at_their_backends(fleet: Fleet, backends: list[FakeBackend]) -> None:
    config = {"gpt-4o": ModelConfig(served_as="qwen3", preferred_endpoints=("b",))}
    fleet.config = replace(fleet.config, model_config=config)
    http = fleet.start()
    answer = http.post("/responses", json={"model": "gpt-4o", "input": "hi"})
    assert (answer.json()["model"], answer.headers["x-router-backend"]) == ("gpt-4o", "b")
    chat = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    assert http.post("/chat/completions", json=chat).status_code == 200
    assert [body["model"] for body in backends[1].bodies()] == ["qwen3", "qwen3"]
    assert "gpt-4o" in [each["id"] for each in http.get("/models").json()["data"]]


def test_breakers_can_be_watched(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start(breaker_failures=1, breaker_pause=30)
    backends[0].script(times=None, status=500)
    served(http, 20)
    told = httpx.get(str(http.base_url).replace("/v1/", "/metrics")).text
    assert 'router_backend_spared{backend="a"} 1.0' in told
    assert 'router_backend_spared{backend="b"} 0.0' in told


def test_streams_that_break_are_failures_too(fleet: Fleet, backends: list[FakeBackend]) -> None:
    http = fleet.start(breaker_failures=2, breaker_pause=20)
    backends[0].script(times=None, cut_after=3)
    for _ in range(40):
        assert http.post("/responses", json={**BODY, "stream": True}).status_code == 200
    assert backends[0].calls()["chat"] == 2
