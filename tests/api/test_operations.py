"""Probes, metrics and models."""

from __future__ import annotations

import httpx
import pytest

from tests.fake_backend import FakeBackend
from tests.gateway import Gateway


def test_healthz(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/healthz").json() == {"status": "ok"}
    assert httpx.head(f"{gateway.url}/healthz").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_readyz_is_ok_when_store_and_database_are(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.url}/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ok", "checks": {"store": "ok", "database": "ok"}},
    )


def test_metrics_count_requests_by_route_and_status(gateway: Gateway, http: httpx.Client) -> None:
    http.post("/responses", json={"model": "m", "input": "hi"})
    http.get("/responses/resp_unknown")
    text = httpx.get(f"{gateway.url}/metrics").text
    assert 'router_requests_total{route="responses",status="200"}' in text
    assert 'router_requests_total{route="response",status="404"}' in text
    assert 'router_backend_calls_total{backend="fake",outcome="ok"}' in text
    assert 'router_tokens_total{backend="fake",kind="input"}' in text


def test_metrics_tell_how_long_streams_take_to_their_first_token(gateway: Gateway, http: httpx.Client) -> None:
    def count() -> int:
        lines = httpx.get(f"{gateway.url}/metrics").text.splitlines()
        return int(
            float(next(line for line in lines if line.startswith("router_first_token_seconds_count")).split()[1])
        )

    before = count()
    http.post("/responses", json={"model": "m", "input": "hi", "stream": True})
    http.post("/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})
    http.post("/responses", json={"model": "m", "input": "hi"})
    assert count() == before + 2


def test_models_are_those_the_backend_tells(http: httpx.Client) -> None:
    listing = http.get("/models").json()
    assert listing["object"] == "list"
    assert {"id": "demo", "object": "model", "created": 0, "owned_by": "fake"} in listing["data"]
    assert http.get("/models/demo").json()["id"] == "demo"
    assert http.get("/models/unknown").status_code == 404


def test_a_backend_that_does_not_tell_its_models_has_none(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(on="models", times=None, status=500)
    assert http.get("/models").json()["data"] == []
