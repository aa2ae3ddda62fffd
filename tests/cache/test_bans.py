"""A wrong answer is taken back and never given again, in any process, until the ban is lifted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from responses_api.cache.entry import digest_of
from responses_api.cache.invalidation import Invalidation
from responses_api.cache.layout import hits_key
from responses_api.config.schema import RedisConfig
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway

BODY: dict[str, Any] = {"model": "m", "input": "hi", "store": False}
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def on_its_loop(gateway: Gateway, operation: Coroutine[Any, Any, Any]) -> Any:
    cache = gateway.runtime.cache
    assert cache is not None
    return asyncio.run_coroutine_threadsafe(operation, cache.pool._loop).result(5)


def invalidation(gateway: Gateway) -> Invalidation:
    assert gateway.runtime.cache is not None
    return gateway.runtime.cache.invalidation


@pytest.mark.parametrize(("path", "body"), [("/responses", BODY), ("/chat/completions", CHAT)])
def test_a_banned_answer_is_never_given_again(
    http: httpx.Client, other: httpx.Client, gateway: Gateway, backend: FakeBackend, path: str, body: Any
) -> None:
    digest = digest_of(http.post(path, json=body).headers["x-cache-entry"])
    assert digest is not None
    assert [each.post(path, json=body).headers["x-cache"] for each in (other, http, other)] == ["HIT"] * 3
    on_its_loop(gateway, invalidation(gateway).ban("default", digest, b"{}"))
    for client in (http, other, other):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.headers["x-cache"]) == (200, "BYPASS")
        assert "banned" in answer.headers["cache-status"]
    # Nor by those who want a new answer for everyone.
    assert http.post(path, json=body, headers={"cache-control": "no-cache"}).headers["x-cache"] == "BYPASS"
    assert backend.calls()["chat"] == 5
    # A purge is no pardon.
    http.post("/cache/purge", json={"all": True})
    assert http.post(path, json=body).headers["x-cache"] == "BYPASS"
    assert on_its_loop(gateway, invalidation(gateway).unban("default", digest)) is True
    assert on_its_loop(gateway, invalidation(gateway).unban("default", digest)) is False
    assert [each.post(path, json=body).headers["x-cache"] for each in (http, other)] == ["MISS", "HIT"]


def test_an_answer_in_the_making_is_not_kept(http: httpx.Client, gateway: Gateway, backend: FakeBackend) -> None:
    digest = digest_of(http.post("/cache/explain", json=BODY).json()["key"])
    assert digest is not None
    backend.script(delay_ms=400, text="wrong")
    with ThreadPoolExecutor(1) as pool:
        leading = pool.submit(http.post, "/responses", json=BODY)
        backend.wait_for(in_flight=1)
        on_its_loop(gateway, invalidation(gateway).ban("default", digest, b"{}"))
        assert leading.result().status_code == 200
    time.sleep(0.2)  # to be filed
    assert http.post("/responses", json=BODY).headers["x-cache"] == "BYPASS"


def test_hits_are_counted_by_entry(
    http: httpx.Client, gateway: Gateway, redis_client: Any, redis_config: RedisConfig
) -> None:
    entry = http.post("/responses", json=BODY).headers["x-cache-entry"]
    time.sleep(0.2)  # filed
    for _ in range(3):
        http.post("/responses", json=BODY)
    http.get("/cache/stats")  # writes what was gathered
    key = hits_key(f"{redis_config.key_prefix}cache:", "default")
    deadline = time.monotonic() + 5
    while redis_client.zscore(key, digest_of(entry)) != 3:
        assert time.monotonic() < deadline, redis_client.zrange(key, 0, -1, withscores=True)
        time.sleep(0.02)
    http.delete(f"/cache/entries/{entry}")
    assert redis_client.zscore(key, digest_of(entry)) is None


def test_notes_are_kept_beside_the_ban(gateway: Gateway, redis_client: Any, redis_config: RedisConfig) -> None:
    on_its_loop(gateway, invalidation(gateway).ban("default", "0" * 64, json.dumps({"by": "eve"}).encode()))
    banned = redis_client.hgetall(f"{redis_config.key_prefix}cache:banned:default")
    assert banned == {b"0" * 64: b'{"by": "eve"}'}
