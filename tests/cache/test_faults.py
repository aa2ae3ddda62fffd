"""Redis away, slow, full or closed: cacheable requests are the backend's, hardly later than without a cache."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis

from responses_api.cache import entry, service
from responses_api.cache.layout import entry_key, flight_key
from responses_api.config.schema import BackendConfig, RedisConfig, ResponseCacheConfig, RouterConfig
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.valkey import Valkey

BODY: dict[str, Any] = {"model": "m", "input": "hi", "store": False}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the real deadline is what is tested."""
    monkeypatch.setattr(service, "PAUSE_SECONDS", 0.5)


@pytest.fixture
def config(own_valkey: Valkey, backend: FakeBackend) -> RouterConfig:
    config = RouterConfig(
        backends=(BackendConfig("fake", backend.base_url),), response_cache=ResponseCacheConfig(default="on")
    )
    return replace(config, response_api=replace(config.response_api, redis=RedisConfig(address=own_valkey.address)))


@pytest.fixture
def http(config: RouterConfig, settings: Any) -> Iterator[httpx.Client]:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    gateway = Gateway(config)
    with httpx.Client(base_url=gateway.base_url, timeout=10) as client:
        # As `Runtime.warm_up` does: a connection that has yet to be opened is what may take longer than a lookup.
        client.get("/cache/stats")
        yield client
    gateway.stop()


def timed(http: httpx.Client, number: int) -> tuple[float, str]:
    began = time.monotonic()
    answer = http.post("/responses", json={**BODY, "input": f"number {number}"})
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began, answer.headers["x-cache"]


def check_unimpressed(http: httpx.Client) -> None:
    # Each question twice: nobody waits for an answer that could not be kept.
    seconds, verdicts = zip(*(timed(http, number // 2) for number in range(2, 22)), strict=True)
    # Where there is no room, Redis still tells who asks.
    assert set(verdicts) <= {"BYPASS", "MISS"}
    # The first few wait for their deadline; then the breaker is open.
    assert max(seconds) < 0.5
    assert statistics.median(seconds) < 0.04


def test_stopped_and_back(http: httpx.Client, own_valkey: Valkey) -> None:
    assert timed(http, 0)[1] == "MISS"
    own_valkey.stop()
    check_unimpressed(http)
    own_valkey.start()
    deadline = time.monotonic() + 10
    while timed(http, 1000)[1] == "BYPASS":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert timed(http, 1000)[1] == "HIT"


def test_asleep_and_awake(http: httpx.Client, own_valkey: Valkey) -> None:
    assert timed(http, 0)[1] == "MISS"
    own_valkey.pause()
    check_unimpressed(http)
    own_valkey.resume()
    deadline = time.monotonic() + 10
    while timed(http, 1000)[1] == "BYPASS":
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    "setting",
    [{"maxmemory-policy": "noeviction", "maxmemory": "1"}, {"requirepass": "secret"}, {"min-replicas-to-write": "3"}],
    ids=["full", "closed", "read-only"],
)
def test_refusing(http: httpx.Client, own_valkey: Valkey, setting: dict[str, str]) -> None:
    admin = redis.Redis.from_url(own_valkey.url)
    for name, value in setting.items():
        admin.config_set(name, value)
    if "requirepass" in setting:
        # Who is in stays in: only new connections are asked.
        admin.client_kill_filter(_type="normal", skipme=True)
    check_unimpressed(http)
    admin.close()


def test_a_damaged_entry_is_a_miss_and_replaced(http: httpx.Client, own_valkey: Valkey, backend: FakeBackend) -> None:
    client = redis.Redis.from_url(own_valkey.url)
    digest = http.post("/responses", json=BODY).headers["x-cache-entry"].removeprefix("cache_")
    answer = client.hget(flight_key("sr:cache:", digest), "answer")
    assert answer is not None
    good = entry.compress(answer)
    for damage in (b"", b"\x01", good[:-9], good[:40] + b"\x00" + good[41:], b"\x09" + good[1:], b"\x80\x04]." + good):
        client.delete(flight_key("sr:cache:", digest))
        client.set(entry_key("sr:cache:", digest), damage)
        calls = backend.calls()["chat"]
        told = http.post("/responses", json=BODY, headers={"cache-control": "max-age=100"})
        assert (told.status_code, told.headers["x-cache"]) == (200, "MISS"), damage
        assert backend.calls()["chat"] == calls + 1
        assert client.get(entry_key("sr:cache:", digest)) is None
    client.delete(flight_key("sr:cache:", digest))
    client.set(entry_key("sr:cache:", digest), good)
    assert http.post("/responses", json=BODY).headers["x-cache"] == "HIT"
    time.sleep(service.MEMORY_SECONDS + 0.1)
    # Nor does one whose question only has the same digest.
    twin = entry.decode(good)
    assert twin is not None
    twin.canonical += b" "
    client.delete(flight_key("sr:cache:", digest))
    client.set(entry_key("sr:cache:", digest), entry.compress(entry.encode_plain(twin)))
    told = http.post("/responses", json=BODY, headers={"cache-control": "max-age=99"})
    assert told.headers["cache-status"].endswith('detail="collision"')
    # Under another question's key it answers nothing.
    other = http.post("/responses", json={**BODY, "input": "another"}).headers["x-cache-entry"].removeprefix("cache_")
    client.delete(flight_key("sr:cache:", other))
    client.set(entry_key("sr:cache:", other), good)
    assert http.post("/responses", json={**BODY, "input": "another"}).headers["x-cache"] == "MISS"
    client.close()


def test_flipped_bits_change_no_answer(http: httpx.Client, own_valkey: Valkey, backend: FakeBackend) -> None:
    client = redis.Redis.from_url(own_valkey.url)
    first = http.post("/responses", json=BODY)
    said = first.json()["output_text"]
    digest = first.headers["x-cache-entry"].removeprefix("cache_")
    # Nobody waits for the answer to land: it may be a moment behind its client.
    for _ in range(100):
        if (plain := client.hget(flight_key("sr:cache:", digest), "answer")) is not None:
            break
        time.sleep(0.01)
    assert plain is not None
    dice = random.Random(7)
    for number in range(200):
        good = plain if number % 2 else entry.compress(plain)
        place = dice.randrange(len(good))
        bad = good[:place] + bytes([good[place] ^ 1 << dice.randrange(8)]) + good[place + 1 :]
        client.delete(flight_key("sr:cache:", digest), entry_key("sr:cache:", digest))
        if number % 2:
            client.hset(flight_key("sr:cache:", digest), mapping={"state": "done", "token": "x", "answer": bad})
        else:
            client.set(entry_key("sr:cache:", digest), bad)
        answer = http.post("/responses", json=BODY, headers={"cache-control": f"max-age={1000 + number}"})
        assert (answer.status_code, answer.json()["output_text"]) == (200, said), (number, place)
    client.close()


def test_a_leader_that_dies_is_followed_by_another(
    config: RouterConfig, http: httpx.Client, own_valkey: Valkey, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease runs out: whoever followed asks in its place."""
    client = redis.Redis.from_url(own_valkey.url)
    digest = http.post("/responses", json=BODY).headers["x-cache-entry"].removeprefix("cache_")
    key = flight_key("sr:cache:", digest)
    client.delete(key)
    client.hset(key, mapping={"state": "flying", "token": "f" * 24, "generation": "0"})
    client.pexpire(key, 700)
    seconds, verdict = _ask_same(http)
    assert verdict == "MISS"
    assert 0.5 < seconds < 3
    assert backend.calls()["chat"] == 2
    client.close()


def _ask_same(http: httpx.Client) -> tuple[float, str]:
    began = time.monotonic()
    answer = http.post("/responses", json=BODY, headers={"cache-control": "max-age=1000"})
    assert answer.status_code == 200
    return time.monotonic() - began, answer.headers["x-cache"]
