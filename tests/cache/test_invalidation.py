"""What is purged is gone, at once, in every process; what is another's is not touched."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from responses_api.cache import filing
from responses_api.cache.entry import BANNED, Entry, Recording, encode_plain
from responses_api.cache.layout import bytes_key, entry_key, epochs_key, flight_key, prefix_of, total_key
from responses_api.config.schema import RedisConfig, ResponseCacheConfig, RouterConfig
from responses_api.redis.sync import sync_client
from tests.fake_backend import FakeBackend
from tests.meddling import Meddling

BODY: dict[str, Any] = {"model": "m", "input": "hi", "store": False}


def ask(http: httpx.Client, *, model: str = "m", text: str = "hi", **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = http.post("/responses", json={**BODY, "model": model, "input": text}, headers=named)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-cache"]


@pytest.fixture
def both(http: httpx.Client, other: httpx.Client) -> tuple[httpx.Client, httpx.Client]:
    """Each has the entries in its memory as well."""
    for client in (http, other):
        for _ in range(2):
            ask(client, x_cache_tags="one,two")
            ask(client, model="n")
            ask(client, x_cache_key="session")
    time.sleep(0.2)  # filed
    return http, other


def verdicts(client: httpx.Client) -> list[str]:
    return [ask(client, x_cache_tags="one,two"), ask(client, model="n"), ask(client, x_cache_key="session")]


@pytest.mark.parametrize(
    ("purge", "entries", "left"),
    [
        ({"tags": ["two", "three"]}, 1, ["MISS", "HIT", "HIT"]),
        ({"model": "n"}, 1, ["HIT", "MISS", "HIT"]),
        ({"model": "m"}, 2, ["MISS", "HIT", "MISS"]),
        ({"all": True}, 3, ["MISS", "MISS", "MISS"]),
        ({"tags": ["unknown"]}, 0, ["HIT", "HIT", "HIT"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_purging(both: Any, purge: dict[str, Any], entries: int, left: list[str], elsewhere: bool) -> None:
    http, other = both
    dry = http.post("/cache/purge", json={**purge, "dry_run": True}).json()
    assert (dry["entries"], dry["dry_run"]) == (entries, True)
    assert verdicts(other) == ["HIT"] * 3
    done = http.post("/cache/purge", json=purge).json()
    assert done == {**dry, "dry_run": False}
    assert verdicts(other if elsewhere else http) == left


def test_a_namespace(both: Any) -> None:
    http, other = both
    assert http.delete("/cache/keys/session", params={"dry_run": "true"}).json()["entries"] == 1
    assert http.delete("/cache/keys/session").json()["entries"] == 1
    assert verdicts(other) == ["HIT", "HIT", "MISS"]


def test_one_entry_by_the_id_that_answers_carry(both: Any) -> None:
    http, other = both
    entry = http.post("/responses", json=BODY, headers={"x-cache-key": "session"}).headers["x-cache-entry"]
    assert other.delete(f"/cache/entries/{entry}").json()["deleted"] is True
    assert verdicts(http) == ["HIT", "HIT", "MISS"]
    for unknown in (f"cache_{'0' * 64}", "cache_x", "resp_1"):
        assert http.delete(f"/cache/entries/{unknown}").status_code == 404


@pytest.mark.parametrize("body", [{}, {"all": True, "model": "m"}, {"tags": []}, {"everything": True}, []], ids=str)
def test_a_purge_says_what(http: httpx.Client, body: Any) -> None:
    assert http.post("/cache/purge", json=body).status_code == 400


@pytest.mark.parametrize("same_process", [True, False])
def test_an_answer_in_the_making_is_not_kept_after_a_purge(
    http: httpx.Client, other: httpx.Client, backend: FakeBackend, same_process: bool
) -> None:
    backend.script(delay_ms=500, text="old")
    backend.script(text="new")
    with ThreadPoolExecutor(1) as pool:
        leading = pool.submit(ask, http)
        backend.wait_for(in_flight=1)
        other.post("/cache/purge", json={"all": True})
        client = http if same_process else other
        # Nor is it shared with who comes after the purge.
        answer = client.post("/responses", json=BODY)
        assert (answer.headers["x-cache"], answer.json()["output_text"]) == ("MISS", "new")
        leading.result()
    for each in (http, other):
        assert each.post("/responses", json=BODY).json()["output_text"] == "new"
    assert backend.calls()["chat"] == 2


def test_explanations(http: httpx.Client, backend: FakeBackend) -> None:
    def explain(body: dict[str, Any], **headers: str) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        told: dict[str, Any] = http.post("/cache/explain", json=body, headers=named).json()
        return told

    asked = {**BODY, "temperature": 0.5}
    assert explain(asked)["nearest"] is None
    key = http.post("/responses", json=asked).headers["x-cache-entry"]
    time.sleep(0.2)
    known = explain(asked)
    assert (known["cacheable"], known["key"], known["entry"]["id"]) == (True, key, key)
    near = explain({**asked, "temperature": 0.6, "top_p": 0.5})
    assert near["entry"] is None
    assert (near["nearest"]["id"], near["nearest"]["differs_in"]) == (key, ["temperature", "top_p"])
    assert explain(asked, x_cache_key="a")["nearest"]["differs_in"] == ["namespace"]
    assert explain(asked, cache_control="no-store")["reason"] == "no-store"
    assert explain({**asked, "background": True, "store": True})["reason"] == "background"
    assert explain(asked, x_cache_ttl="?")["ignored"] == ["x-cache-ttl"]
    assert backend.calls()["chat"] == 1


def test_stats(http: httpx.Client) -> None:
    for verdict in ("MISS", "HIT", "HIT"):
        assert ask(http, text="one two three") == verdict
    http.post("/responses", json=BODY, headers={"cache-control": "no-store"})
    time.sleep(0.2)
    told = http.get("/cache/stats", params={"days": 1}).json()
    (day,) = told["days"]
    assert (day["model"], day["hit"], day["miss"], day["hit_ratio"]) == ("m", 2, 1, 0.6667)
    assert day["saved_input_tokens"] == 6
    assert day["saved_output_tokens"] > 0
    assert (told["entries"], told["max_bytes"]) == (1, 256 * 1024 * 1024)
    assert told["bytes"] > 100
    assert http.get("/cache/stats", params={"days": 0}).status_code == 400


class TestBounds:
    @pytest.fixture
    def cache_config(self) -> ResponseCacheConfig:
        return ResponseCacheConfig(default="on", max_entry_bytes=20_000, max_bytes_per_project=4000, memory_bytes=0)

    def test_the_least_recently_used_go_and_nothing_else(
        self, http: httpx.Client, backend: FakeBackend, redis_client: Any, redis_config: RedisConfig
    ) -> None:
        stored = http.post("/responses", json={"model": "m", "input": "keep me"}).json()["id"]
        for number in range(20):
            ask(http, text=f"number {number}")
            time.sleep(0.06)
            ask(http, text="number 0")
            if number % 3 == 0:
                time.sleep(1.1)  # what was used is told once a second
        time.sleep(3.5)  # unfiled answers are gone from where followers look
        told = http.get("/cache/stats").json()
        assert told["bytes"] <= 4000
        assert told["entries"] < 20
        assert ask(http, text="number 0") == "HIT"
        assert ask(http, text="number 1") == "MISS"
        assert http.get(f"/responses/{stored}").status_code == 200
        prefix = f"{redis_config.key_prefix}cache:"
        listed = [each.decode() for each in redis_client.zrange(bytes_key(prefix, "default"), 0, -1)]
        assert all(redis_client.exists(entry_key(prefix, digest)) for digest in listed)

    def test_what_is_too_large_is_not_kept(self, http: httpx.Client, backend: FakeBackend) -> None:
        backend.script(answer_bytes=30_000, times=2)
        assert [ask(http, text="long") for _ in range(2)] == ["MISS", "MISS"]


@pytest.mark.django_db
def test_the_command_counts_before_it_purges(
    http: httpx.Client, router_config: RouterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("purge_cache", *arguments, stdout=out)
        return out.getvalue()

    monkeypatch.setattr("responses_api.management.commands.purge_cache.router_config", lambda: router_config)
    ask(http, x_cache_tags="one")
    ask(http, text="other")
    time.sleep(0.2)
    assert run("--all").startswith("2 entries, ")
    assert run("--tag", "one").startswith("1 entries, ")
    assert ask(http) == "HIT"
    assert run("--tag", "one", "--yes").startswith("Purged 1 entries, ")
    assert (ask(http), ask(http, text="other")) == ("MISS", "HIT")
    with pytest.raises(CommandError, match="no project named 'nobody'"):
        run("--all", "--project", "nobody")


def test_what_the_books_do_not_list_is_purged_as_well(
    http: httpx.Client, other: httpx.Client, redis_client: Any, redis_config: RedisConfig
) -> None:
    key = http.post("/responses", json=BODY).headers["x-cache-entry"].removeprefix("cache_")
    time.sleep(0.2)
    prefix = f"{redis_config.key_prefix}cache:"
    redis_client.delete(bytes_key(prefix, "default"), flight_key(prefix, key))
    assert http.post("/cache/purge", json={"all": True}).json()["entries"] == 0
    assert redis_client.exists(entry_key(prefix, key))
    assert (ask(http), ask(other)) == ("MISS", "HIT")


def landed(redis_client: Any, prefix: str, digest: str) -> None:
    """An answer of project `p` that waits to be filed."""
    recording = Recording("0" * 24, b"{}", b"", [], "b", 1.0, 1, 1)
    entry = Entry(digest, b"[]", "p", "", "m", [], {}, time.time(), 300, recording)
    answer = {"state": "done", "token": "t", "answer": encode_plain(entry)}
    redis_client.hset(flight_key(prefix, digest), mapping=answer)


TO_WRITE, TO_CHECK = 2, 3
"""Of the pipelines that a batch is filed with; before the second its entries have been booked."""


def test_there_is_no_entry_that_the_books_do_not_list(redis_client: Any, router_config: RouterConfig) -> None:
    prefix, digest = prefix_of(router_config), "c" * 64
    landed(redis_client, prefix, digest)
    # Another worker has evicted it.
    overtaken = Meddling(redis_client, "pipeline", lambda: filing.strike(redis_client, prefix, "p", [digest]), TO_WRITE)
    filing.file_all(overtaken, router_config, [("p", digest)])
    assert redis_client.zscore(bytes_key(prefix, "p"), digest) is None
    assert not redis_client.exists(entry_key(prefix, digest))
    filing.file_all(redis_client, router_config, [("p", digest)])
    assert redis_client.zscore(bytes_key(prefix, "p"), digest)
    assert redis_client.exists(entry_key(prefix, digest))


@pytest.mark.parametrize(("when", "filed"), [(TO_WRITE, 1), (TO_CHECK, 2)])
def test_a_ban_in_between_stays(redis_client: Any, router_config: RouterConfig, when: int, filed: int) -> None:
    prefix, digests = prefix_of(router_config), ["c" * 64, "d" * 64]
    for digest in digests:
        landed(redis_client, prefix, digest)

    def ban() -> None:
        filing.strike(redis_client, prefix, "p", digests[:1])
        redis_client.set(entry_key(prefix, digests[0]), BANNED)

    filings = [("p", digest) for digest in digests]
    assert filing.file_all(Meddling(redis_client, "pipeline", ban, when), router_config, filings) == filed
    assert redis_client.get(entry_key(prefix, digests[0])) == BANNED
    assert redis_client.zrange(bytes_key(prefix, "p"), 0, -1) == [digests[1].encode()]


@pytest.mark.parametrize("in_cluster", [False, True])
def test_a_large_batch_is_filed_within_the_bound(
    router_config: RouterConfig, request: pytest.FixtureRequest, in_cluster: bool
) -> None:
    redis_config = router_config.response_api.redis
    if in_cluster:
        addresses = tuple(request.getfixturevalue("cluster").addresses)
        redis_config = replace(redis_config, address="", cluster_mode=True, cluster_addresses=addresses)
    redis_client: Any = sync_client(redis_config)
    prefix, digests = prefix_of(router_config), [f"{number:064x}" for number in range(2 * filing.BATCH + 7)]
    for digest in digests:
        landed(redis_client, prefix, digest)
    filings = [("p", digest) for digest in digests]
    assert filing.file_all(redis_client, router_config, [*filings, *filings]) == len(digests)
    sizes = [redis_client.strlen(entry_key(prefix, digest)) for digest in digests]
    assert min(sizes) > 0
    assert int(redis_client.get(total_key(prefix, "p"))) == sum(sizes)
    bounded = replace(router_config, response_cache=ResponseCacheConfig(max_bytes_per_project=50 * max(sizes)))
    assert filing.file_all(redis_client, bounded, filings[:10]) == 10
    listed = {each.decode() for each in redis_client.zrange(bytes_key(prefix, "p"), 0, -1)}
    assert {digest for digest in digests if redis_client.exists(entry_key(prefix, digest))} == listed
    assert set(digests[:10]) < listed
    total = int(redis_client.get(total_key(prefix, "p")))
    assert total == sum(redis_client.strlen(entry_key(prefix, digest)) for digest in listed)
    assert 49 * max(sizes) < total <= 50 * max(sizes)
    redis_client.close()


def test_an_answer_purged_before_it_was_filed_is_not_filed(redis_client: Any, router_config: RouterConfig) -> None:
    prefix, digest = prefix_of(router_config), "c" * 64
    landed(redis_client, prefix, digest)
    assert filing.file_all(redis_client, router_config, [("q", digest)]) == 0
    assert filing.file_all(redis_client, router_config, [("p", digest)]) == 1
    redis_client.hset(epochs_key(prefix, "p"), "model:m", 1)
    assert filing.file_all(redis_client, router_config, [("p", digest)]) == 0
