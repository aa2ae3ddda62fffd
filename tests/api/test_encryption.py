"""Encryption at rest: a dump of Redis shows nobody's words, and keys can be changed under traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis

from responses_api.cache.layout import prefix_of
from responses_api.config.schema import RouterConfig
from responses_api.rotation import Rotated, rotate
from responses_api.vault import Vault
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.worker import Worker

OLD, NEW = "the old key of this installation, long", "the new key of this installation, long"
PROMPT, ANSWER = "Whisper the launch date", "It is on the ninth of May"
CACHED = {"x-cache-key": "secrets"}

MakeClient = Callable[[tuple[str, ...]], httpx.Client]


@pytest.fixture
def client_of(router_config: RouterConfig, settings: Any) -> Iterator[MakeClient]:
    """A client of a gateway with these keys and a worker of its own."""
    settings.ROUTER_ALLOW_ANONYMOUS = True
    started: list[Gateway | Worker | httpx.Client] = []

    def make(keys: tuple[str, ...]) -> httpx.Client:
        config = replace(router_config, encryption_keys=keys)
        worker = Worker(config)
        gateway = Gateway(config, enqueue=worker.enqueue)
        client = httpx.Client(base_url=gateway.base_url, timeout=10)
        started.extend((worker, gateway, client))
        return client

    yield make
    for each in reversed(started):
        each.close() if isinstance(each, httpx.Client) else each.stop()


@pytest.fixture
def raw(router_config: RouterConfig) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(f"redis://{router_config.response_api.redis.address}/0")
    yield client
    client.close()


def dump(raw: redis.Redis, prefix: str) -> bytes:
    """Everything that was written, keys and values."""
    found: list[Any] = []
    for key in raw.scan_iter(f"*{prefix}*"):
        kind: Any = raw.type(key)
        read: dict[bytes, Callable[[Any], Any]] = {
            b"string": raw.get,
            b"hash": raw.hgetall,
            b"stream": raw.xrange,
            b"zset": lambda name: raw.zrange(name, 0, -1, withscores=True),
            b"set": raw.smembers,
        }
        found += [key, read[kind](key)]
    return repr(found).encode()


class Told:
    """What a client was told, to be asked for again."""

    def __init__(self, client: httpx.Client, backend: FakeBackend) -> None:
        backend.script(times=None, text=ANSWER)
        ask = {"model": "m", "input": PROMPT}
        self.conversation = self._id(client.post("/conversations", json={}))
        self.stored = self._id(client.post("/responses", json={**ask, "conversation": self.conversation}))
        self.follow_up = self._id(client.post("/responses", json={**ask, "previous_response_id": self.stored}))
        self._id(client.post("/responses", json=ask, headers=CACHED))
        body = {**ask, "background": True, "stream": True}
        with client.stream("POST", "/responses", json=body) as events:
            told = events.read().decode()
        assert ANSWER in told
        self.background = told.partition('"id":"')[2].partition('"')[0]

    @staticmethod
    def _id(answer: httpx.Response) -> str:
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def check(self, client: httpx.Client) -> None:
        for each in (self.stored, self.follow_up, self.background):
            assert client.get(f"/responses/{each}").json()["output_text"] == ANSWER
            assert PROMPT in client.get(f"/responses/{each}/input_items").text
        assert PROMPT in client.get(f"/conversations/{self.conversation}/items").text
        chained = {"model": "m", "input": "And?", "previous_response_id": self.follow_up}
        assert client.post("/responses", json=chained).status_code == 200
        log = client.get(f"/responses/{self.background}", params={"stream": "true"}).text
        assert "event: response.completed" in log


def test_a_dump_shows_no_words(
    client_of: MakeClient, backend: FakeBackend, raw: redis.Redis, router_config: RouterConfig
) -> None:
    client = client_of((OLD,))
    told = Told(client, backend)
    told.check(client)
    hit = client.post("/responses", json={"model": "m", "input": PROMPT}, headers=CACHED)
    assert (hit.headers["x-cache"], hit.json()["output_text"]) == ("HIT", ANSWER)
    written = dump(raw, router_config.response_api.redis.key_prefix)
    assert told.stored.encode() in written
    for words in (PROMPT, ANSWER, "launch", "ninth"):
        assert words.encode() not in written


def test_without_keys_the_same_dump_shows_them(
    client_of: MakeClient, backend: FakeBackend, raw: redis.Redis, router_config: RouterConfig
) -> None:
    """That the test above could fail."""
    Told(client_of(()), backend)
    written = dump(raw, router_config.response_api.redis.key_prefix)
    assert PROMPT.encode() in written
    assert ANSWER.encode() in written


def all_rotated(raw: redis.Redis, config: RouterConfig, keys: tuple[str, ...]) -> Rotated:
    done = Rotated()
    for each in rotate(raw, config.response_api.redis.key_prefix, prefix_of(config), Vault(keys)):
        done = each
    return done


def test_keys_are_changed_one_by_one(
    client_of: MakeClient, backend: FakeBackend, raw: redis.Redis, router_config: RouterConfig
) -> None:
    """Nothing → a key → another; whoever has the keys of the moment reads everything, before and after."""
    told = Told(client_of(()), backend)
    for during, then in (((OLD,), (OLD,)), ((NEW, OLD), (NEW,))):
        told.check(client_of(during))
        done = all_rotated(raw, router_config, during)
        assert (done.rewritten > 5, done.unreadable) == (True, 0)
        assert all_rotated(raw, router_config, during).rewritten == 0
        after = client_of(then)
        assert after.get(f"/responses/{told.stored}").json()["output_text"] == ANSWER
        assert PROMPT in after.get(f"/conversations/{told.conversation}/items").text
        hit = after.post("/responses", json={"model": "m", "input": PROMPT}, headers=CACHED)
        assert hit.headers["x-cache"] == "HIT"
    written = dump(raw, router_config.response_api.redis.key_prefix)
    # Logs of events are left to expire.
    assert all(ANSWER.encode() not in part for part in written.split(b"sr:") if b":events" not in part)


def test_without_the_key_nothing_is_told_and_nothing_is_lost(
    client_of: MakeClient, backend: FakeBackend, raw: redis.Redis, router_config: RouterConfig
) -> None:
    told = Told(client_of((OLD,)), backend)
    stranger = client_of((NEW,))
    answer = stranger.get(f"/responses/{told.stored}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "store_encrypted")
    assert Vault((OLD,)).key_ids[0] in answer.json()["error"]["message"]
    miss = stranger.post("/responses", json={"model": "m", "input": PROMPT}, headers=CACHED)
    assert (miss.status_code, miss.headers["x-cache"]) == (200, "MISS")
    assert all_rotated(raw, router_config, (NEW,)).unreadable > 0
    told.check(client_of((OLD,)))


def test_a_run_that_no_key_opens_keeps_no_other_waiting(router_config: RouterConfig, settings: Any) -> None:
    """As while keys are changed: a worker without the key looks after those that it can read."""
    settings.ROUTER_ALLOW_ANONYMOUS = True
    background = {"model": "m", "input": PROMPT, "background": True}
    submitted: list[str] = []
    for keys in ((OLD,), (NEW,)):
        gateway = Gateway(replace(router_config, encryption_keys=keys), enqueue=lambda nudges: None)
        submitted.append(httpx.post(f"{gateway.base_url}/responses", json=background, timeout=10).json()["id"])
        gateway.stop()
    worker = Worker(replace(router_config, encryption_keys=(NEW,)))
    assert [each for each, _ in worker.recover(later_seconds=10).nudges] == submitted[1:]
    worker.stop()


def test_who_cannot_read_what_another_is_told_asks_itself(client_of: MakeClient, backend: FakeBackend) -> None:
    backend.script(times=None, tokens=30, tokens_per_second=20)
    ask = {"model": "m", "input": PROMPT}
    leader, stranger = client_of((OLD,)), client_of((NEW,))
    with leader.stream("POST", "/responses", json={**ask, "stream": True}, headers=CACHED) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if "output_text.delta" in line)
        own = stranger.post("/responses", json=ask, headers=CACHED)
        assert (own.status_code, own.json()["status"]) == (200, "completed")
        assert any("response.completed" in line for line in lines)
    assert backend.calls()["chat"] == 2
