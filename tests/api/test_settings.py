"""Settings that change what the API does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis

from responses_api.config.schema import RedisConfig, RouterConfig
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway

Started = Callable[..., httpx.Client]
REQUEST = {"model": "m", "input": "What is 2+2?", "instructions": "Be brief."}


@pytest.fixture
def started(router_config: RouterConfig, settings: Any) -> Iterator[Started]:
    """A client of a gateway whose `response_api` block is changed so."""
    settings.ROUTER_ALLOW_ANONYMOUS = True
    opened: list[Any] = []

    def start(**changes: Any) -> httpx.Client:
        gateway = Gateway(replace(router_config, response_api=replace(router_config.response_api, **changes)))
        client = httpx.Client(base_url=gateway.base_url, timeout=10)
        opened.append((client, gateway))
        return client

    yield start
    for client, gateway in opened:
        client.close()
        gateway.stop()


def test_the_memory_store_serves_chains_too(started: Started) -> None:
    http = started(store_backend="memory")
    first = http.post("/responses", json={"model": "m", "input": "My name is Ada."}).json()
    follow_up = {"model": "m", "input": "What is my name?", "previous_response_id": first["id"]}
    assert "Ada" in http.post("/responses", json=follow_up).json()["output_text"]
    assert http.delete(f"/responses/{first['id']}").status_code == 200
    assert http.get(f"/responses/{first['id']}").status_code == 404


def test_switched_off_it_says_so(started: Started) -> None:
    http = started(enabled=False)
    for answer in (http.post("/responses", json=REQUEST), http.get("/responses/resp_1")):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "api_disabled"
    assert http.get("/models").status_code == 200


def test_instructions_can_be_inherited(started: Started, backend: FakeBackend) -> None:
    http = started(inherit_instructions=True)
    first = http.post("/responses", json=REQUEST).json()
    second = http.post("/responses", json={"model": "m", "input": "And?", "previous_response_id": first["id"]}).json()
    assert second["instructions"] == "Be brief."
    assert backend.bodies()[1]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_input_items_can_leave_the_instructions_out(started: Started) -> None:
    http = started(input_items_include_instructions=False)
    first = http.post("/responses", json=REQUEST).json()
    items = http.get(f"/responses/{first['id']}/input_items").json()["data"]
    assert [item["role"] for item in items] == ["user"]


def test_output_text_can_be_left_to_the_client(started: Started) -> None:
    http = started(include_output_text=False)
    first = http.post("/responses", json=REQUEST).json()
    assert "output_text" not in first
    assert http.get(f"/responses/{first['id']}").json() == first


def test_a_ttl_of_zero_never_expires(started: Started, redis_cli: redis.Redis, redis_config: RedisConfig) -> None:
    response_id = started(ttl_seconds=0).post("/responses", json=REQUEST).json()["id"]
    assert redis_cli.ttl(f"{redis_config.key_prefix}response:{response_id}") == -1
