"""How many runs a project and a key may have at once, over all processes, and whatever dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from responses_api import places
from responses_api.api import auth
from responses_api.config.schema import RedisConfig, RouterConfig
from responses_api.models import ApiKey
from tests.api.test_limits import BODY, make_key
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.worker import Worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    auth.forget()


@pytest.fixture
def gateways(router_config: RouterConfig, settings: Any, worker: Worker) -> Iterator[list[Gateway]]:
    settings.ROUTER_ALLOW_ANONYMOUS = False
    gateways = [Gateway(router_config, enqueue=worker.enqueue) for _ in range(2)]
    yield gateways
    for gateway in gateways:
        gateway.stop()


def client_of(gateway: Gateway, secret: str) -> httpx.Client:
    return httpx.Client(base_url=gateway.base_url, headers={"authorization": f"Bearer {secret}"}, timeout=10)


def holders(redis_cli: Any, redis_config: RedisConfig, key: ApiKey, subject: str = "project") -> int:
    return int(redis_cli.zcard(places.places_key(redis_config.key_prefix, key.project.public_id, subject)))


def eventually(is_so: Any) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_two_processes_share_the_places(
    gateways: list[Gateway], backend: FakeBackend, redis_cli: Any, redis_config: RedisConfig
) -> None:
    key, secret = make_key(project={"runs_at_once": 3})
    backend.script(times=None, delay_ms=1500)
    clients = [client_of(gateway, secret) for gateway in gateways]
    with clients[0], clients[1], ThreadPoolExecutor(10) as pool:
        for client in clients:  # each knows the key: they share a process here, and what it remembers
            assert client.get("/models").status_code == 200
        asked = [pool.submit(clients[number % 2].post, "/responses", json=BODY) for number in range(10)]
        answers = [each.result() for each in asked]
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 7
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["retry-after"] == "2"
        assert "this project: 3 requests at once" in refused.json()["error"]["message"]
        eventually(lambda: holders(redis_cli, redis_config, key) == 0)
        backend.script(times=None, delay_ms=0)
        assert clients[0].post("/responses", json=BODY).status_code == 200


def test_a_stream_has_its_place_to_its_end_and_no_longer(
    gateways: list[Gateway], backend: FakeBackend, redis_cli: Any, redis_config: RedisConfig
) -> None:
    key, secret = make_key(runs_at_once=1)
    subject = f"key:{key.pk}"
    backend.script(times=None, tokens=1000, tokens_per_second=50)
    with client_of(gateways[0], secret) as client:
        with client.stream("POST", "/responses", json={**BODY, "stream": True}) as answer:
            next(answer.iter_lines())
            assert holders(redis_cli, redis_config, key, subject) == 1
            assert client.post("/responses", json=BODY).status_code == 429
        # It has left: its place is free again.
        eventually(lambda: holders(redis_cli, redis_config, key, subject) == 0)
        backend.script(times=None, text="hi")
        assert client.post("/responses", json={**BODY, "stream": True}).status_code == 200
        assert client.post("/responses", content=b"{").status_code == 415
        assert client.post("/responses", json={"model": "m"}).status_code == 400
        eventually(lambda: holders(redis_cli, redis_config, key, subject) == 0)


def test_background_runs_wait_for_a_place(
    gateways: list[Gateway], backend: FakeBackend, redis_cli: Any, redis_config: RedisConfig
) -> None:
    key, secret = make_key(project={"runs_at_once": 1})
    backend.script(times=None, delay_ms=300, text="hi")
    with client_of(gateways[0], secret) as client:
        ids = [client.post("/responses", json={**BODY, "background": True}).json()["id"] for _ in range(4)]
        most = 0
        while any(client.get(f"/responses/{each}").json()["status"] != "completed" for each in ids):
            most = max(most, holders(redis_cli, redis_config, key))
            time.sleep(0.02)
    assert most == 1
    eventually(lambda: holders(redis_cli, redis_config, key) == 0)


def test_what_a_dead_process_held_is_free_after_its_lease(
    gateways: list[Gateway],
    backend: FakeBackend,
    redis_cli: Any,
    redis_config: RedisConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "LEASE_SECONDS", 0.9)
    key, secret = make_key(project={"runs_at_once": 1})
    dead = places.places_key(redis_config.key_prefix, key.project.public_id, "project")
    redis_cli.zadd(dead, {"req_of_the_dead": time.time() * 1000 + 900})
    with client_of(gateways[0], secret) as client:
        assert client.post("/responses", json=BODY).status_code == 429
        time.sleep(1)
        # One that lives renews its lease.
        backend.script(times=None, delay_ms=2500)
        with ThreadPoolExecutor(1) as pool:
            long = pool.submit(client.post, "/responses", json=BODY)
            time.sleep(2)
            assert client.post("/responses", json=BODY).status_code == 429
            assert long.result().status_code == 200
