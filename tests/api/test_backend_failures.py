"""What a client is told when its backend fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from responses_api.config.schema import BackendConfig, RouterConfig, Timeouts
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.valkey import free_port

REQUEST = {"model": "m", "input": "hi"}


@pytest.mark.parametrize(
    ("steps", "status", "code", "words"),
    [
        ({"status": 500}, 502, "backend_error", ""),
        ({"status": 503}, 503, "backend_unavailable", ""),
        ({"status": 429, "headers": {"retry-after": "7"}}, 429, "rate_limit_exceeded", ""),
        ({"status": 401}, 502, "backend_unauthorized", "credentials"),
        ({"html": True}, 502, "backend_error", "html"),
        ({"html": True, "status": 200}, 502, "backend_error", "html"),
        ({"body": "not json", "status": 200}, 502, "backend_error", "instead of a completion"),
        ({"body": {"choices": []}, "status": 200}, 502, "backend_error", "instead of a completion"),
        (
            {"body": {"error": {"message": "out of memory"}}, "status": 200},
            502,
            "backend_error",
            "out of memory",
        ),
        ({"cut_after": 1}, 502, "backend_error", "broke off"),
        ({"cut_after": 0}, 502, "backend_error", "broke"),
        ({"hang_up": True}, 502, "backend_error", "broke the connection"),
        (
            {"status": 400, "error": {"message": "too long", "code": "context_length_exceeded"}},
            400,
            "context_length_exceeded",
            "too long",
        ),
        (
            {"status": 404, "error": {"message": "The model `m` does not exist."}},
            400,
            "model_not_found",
            "does not exist",
        ),
    ],
    ids=str,
)
def test_a_failure_is_an_openai_error(
    http: httpx.Client, backend: FakeBackend, steps: dict[str, Any], status: int, code: str, words: str
) -> None:
    backend.script(**steps)
    answer = http.post("/responses", json=REQUEST)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert words in error["message"]


def test_retry_after_is_passed_on(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(status=429, headers={"retry-after": "7"})
    assert http.post("/responses", json=REQUEST).headers["retry-after"] == "7"


def test_the_next_request_is_fine(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(cut_after=1)
    assert http.post("/responses", json=REQUEST).status_code == 502
    assert http.post("/responses", json=REQUEST).status_code == 200


@pytest.fixture
def impatient(router_config: RouterConfig, settings: Any) -> Iterator[httpx.Client]:
    """A gateway whose backend has 0.3 s for its first byte and 0.3 s between two packets."""
    settings.ROUTER_ALLOW_ANONYMOUS = True
    timeouts = Timeouts(connect_timeout=1, first_byte_timeout=0.3, idle_timeout=0.3)
    fake = BackendConfig("fake", router_config.backends[0].base_url, timeouts=timeouts, models=("m",))
    nobody = BackendConfig("nobody", f"http://127.0.0.1:{free_port()}/v1", models=("nobody",))
    config = RouterConfig(response_api=router_config.response_api, backends=(fake, nobody))
    gateway = Gateway(config)
    with httpx.Client(base_url=gateway.base_url, timeout=10) as client:
        yield client
    gateway.stop()


def test_a_backend_that_does_not_begin_is_a_504(impatient: httpx.Client, backend: FakeBackend) -> None:
    backend.script(delay_ms=5000)
    answer = impatient.post("/responses", json=REQUEST)
    assert answer.status_code == 504
    assert "first_byte_timeout" in answer.json()["error"]["message"]
    backend.wait_for(aborted=1)


def test_a_backend_that_falls_silent_is_a_504(impatient: httpx.Client, backend: FakeBackend) -> None:
    backend.script(stall_after=1)
    answer = impatient.post("/responses", json=REQUEST)
    assert answer.status_code == 504
    assert "idle_timeout" in answer.json()["error"]["message"]


def test_a_stream_that_falls_silent_fails(impatient: httpx.Client, backend: FakeBackend) -> None:
    backend.script(stall_after=3)
    answer = impatient.post("/responses", json={**REQUEST, "stream": True})
    assert "event: response.failed" in answer.text
    assert "idle_timeout" in answer.text


def test_a_slow_reader_is_not_taken_for_a_silent_backend(impatient: httpx.Client, backend: FakeBackend) -> None:
    """The backend's clock stands still while our own client is slow to read."""
    backend.script(tokens=30_000, tokens_per_second=0)
    with impatient.stream("POST", "/responses", json={**REQUEST, "stream": True}) as answer:
        threading.Event().wait(1.2)
        text = answer.read()
    assert b"event: response.completed" in text
    assert text.endswith(b"data: [DONE]\n\n")


def test_a_backend_that_is_not_there_is_a_503(impatient: httpx.Client) -> None:
    answer = impatient.post("/responses", json={"model": "nobody", "input": "hi"})
    assert answer.status_code == 503
    assert "nobody" in answer.json()["error"]["message"]


def test_a_model_that_nobody_serves_is_a_400(impatient: httpx.Client) -> None:
    answer = impatient.post("/responses", json={"model": "unknown", "input": "hi"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "model_not_found"
    assert answer.json()["error"]["message"] == "The requested model 'unknown' does not exist."


def test_connections_are_reused(http: httpx.Client, backend: FakeBackend) -> None:
    for _ in range(20):
        assert http.post("/responses", json=REQUEST).status_code == 200
    assert backend.calls()["connections"] == 1
