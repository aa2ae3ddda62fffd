"""What requests may ask of the cache, and get."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from responses_api.config.schema import ResponseCacheConfig
from tests.api.events import read_events
from tests.fake_backend import FakeBackend

BODY: dict[str, Any] = {"model": "m", "input": "hi"}
SHORT = {"x-cache-ttl": "1s"}


def ask(http: httpx.Client, *, stream: bool = False, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.post("/responses", json={**BODY, "stream": stream}, headers=named)


def cache_control(http: httpx.Client, value: str, *, stream: bool = False) -> httpx.Response:
    return ask(http, stream=stream, cache_control=value)


def test_no_store_leaves_no_trace(http: httpx.Client, backend: FakeBackend) -> None:
    for _ in range(2):
        assert cache_control(http, "no-store").headers["x-cache"] == "BYPASS"
    assert ask(http).headers["x-cache"] == "MISS"
    assert ask(http, x_bf_cache_no_store="true").headers["x-cache"] == "BYPASS"
    assert backend.calls()["chat"] == 4


def test_no_cache_asks_anew_and_replaces(http: httpx.Client, other: httpx.Client, backend: FakeBackend) -> None:
    backend.script(text="old")
    for client in (http, http, http, other, other, other):
        assert ask(client).json()["output_text"] == "old"
    backend.script(text="new")
    fresh = cache_control(http, "no-cache")
    assert (fresh.headers["x-cache"], fresh.json()["output_text"]) == ("MISS", "new")
    assert ask(http).json()["output_text"] == "new"
    # Another process may give what it remembers for a second.
    deadline = time.monotonic() + 1.5
    while ask(other).json()["output_text"] != "new":
        assert time.monotonic() < deadline
    for client in (http, other):
        hit = ask(client)
        assert (hit.headers["x-cache"], hit.json()["output_text"]) == ("HIT", "new")
    assert backend.calls()["chat"] == 2


def test_an_entry_lives_as_long_as_it_was_given(http: httpx.Client, backend: FakeBackend) -> None:
    ask(http, x_cache_ttl="1s")
    assert ask(http).headers["x-cache"] == "HIT"
    time.sleep(1.1)
    expired = ask(http)
    assert expired.headers["cache-status"] == 'responses-router; fwd=stale; stored; detail="expired"'
    assert backend.calls()["chat"] == 2


def test_a_younger_answer_may_be_wanted(http: httpx.Client) -> None:
    ask(http)
    time.sleep(1.1)
    assert cache_control(http, "max-age=1").headers["x-cache"] == "MISS"
    assert cache_control(http, "min-fresh=250").headers["x-cache"] == "HIT"
    assert cache_control(http, "min-fresh=301").headers["x-cache"] == "MISS"


def test_only_if_cached(http: httpx.Client, backend: FakeBackend) -> None:
    refused = cache_control(http, "only-if-cached")
    assert (refused.status_code, refused.json()["error"]["code"]) == (504, "not_cached")
    assert refused.headers["x-cache"] == "MISS"
    ask(http)
    assert cache_control(http, "only-if-cached").headers["x-cache"] == "HIT"
    assert backend.calls()["chat"] == 1


def test_what_cannot_be_read_is_named(http: httpx.Client) -> None:
    told = ask(http, x_cache_ttl="soon", x_bf_cache_type="semantic")
    assert told.headers["cache-status"].endswith('detail="ignored: x-cache-ttl x-bf-cache-type"')


class TestStale:
    @pytest.fixture(autouse=True)
    def _expired(self, http: httpx.Client, backend: FakeBackend) -> None:
        backend.script(text="old")
        ask(http, x_cache_ttl="1s")
        time.sleep(1.1)
        backend.script(text="new")

    def test_it_is_given_to_who_accepts_it(self, http: httpx.Client, other: httpx.Client, backend: FakeBackend) -> None:
        for client in (http, other):
            stale = cache_control(client, "max-stale=60")
            assert (stale.headers["x-cache"], stale.json()["output_text"]) == ("STALE", "old")
            assert stale.headers["cache-status"].endswith('; detail="max-stale"')
        assert backend.calls()["chat"] == 1

    @pytest.mark.parametrize("stream", [False, True])
    def test_it_is_replaced_while_it_is_given(self, http: httpx.Client, backend: FakeBackend, stream: bool) -> None:
        stale = cache_control(http, "stale-while-revalidate=60", stream=stream)
        assert stale.headers["x-cache"] == "STALE"
        backend.wait_for(chat=2)
        deadline = time.monotonic() + 5
        while (answer := cache_control(http, "max-stale=60")).headers["x-cache"] != "HIT":
            assert time.monotonic() < deadline
        assert answer.json()["output_text"] == "new"
        assert backend.calls()["chat"] == 2

    @pytest.mark.parametrize("stream", [False, True])
    def test_it_stands_in_for_a_backend_that_fails(
        self, http: httpx.Client, backend: FakeBackend, stream: bool
    ) -> None:
        backend.app.scripts.clear()
        backend.script(status=500, times=None)
        assert cache_control(http, "max-age=0", stream=stream).status_code == 502
        answer = cache_control(http, "stale-if-error=60", stream=stream)
        assert answer.status_code == 200
        assert answer.headers["cache-status"].endswith('; detail="stale-if-error"')
        final = read_events(answer)[-1]["response"] if stream else answer.json()
        assert final["output"][0]["content"][0]["text"] == "old"
        assert http.get(f"/responses/{final['id']}").status_code == 200

    def test_a_request_that_is_wrong_is_no_error_of_the_backend(self, http: httpx.Client, backend: FakeBackend) -> None:
        backend.app.scripts.clear()
        backend.script(status=400, error={"message": "No."})
        assert cache_control(http, "stale-if-error=60").status_code == 400


class TestClamped:
    @pytest.fixture
    def cache_config(self) -> ResponseCacheConfig:
        return ResponseCacheConfig(default="on", ttl_seconds=10, max_ttl_seconds=20)

    def test_a_longer_life_is_cut(self, http: httpx.Client) -> None:
        ask(http, x_cache_ttl="1h")
        assert ask(http).headers["cache-status"] in (
            "responses-router; hit; ttl=19",
            "responses-router; hit; ttl=20",
        )
