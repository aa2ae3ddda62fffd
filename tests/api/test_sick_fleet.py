"""Three sick backends beside one that is well, under load: one is gone, one is slow, one answers with 500s."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from responses_api.config.schema import BackendConfig, RouterConfig, RoutingConfig, Timeouts
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway

FIRST_BYTE_TIMEOUT = 1.0
CLIENTS, SECONDS = 8, 6.0


class Client(threading.Thread):
    """Asks, one request after the other, JSON and streams in turn."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url
        self.statuses: list[int] = []
        self.seconds: list[float] = []
        self.is_done = False

    def run(self) -> None:
        with httpx.Client(base_url=self._base_url, timeout=30) as http:
            while not self.is_done:
                began = time.perf_counter()
                streamed = len(self.statuses) % 2 == 1
                answer = http.post("/responses", json={"model": "m", "input": "hi", "stream": streamed})
                is_whole = not streamed or '"type":"response.completed"' in answer.text
                self.seconds.append(time.perf_counter() - began)
                self.statuses.append(answer.status_code if is_whole else 0)


@pytest.fixture
def four() -> Iterator[list[FakeBackend]]:
    backends = [FakeBackend() for _ in range(4)]
    yield backends
    for each in backends:
        each.stop()


def load(base_url: str, seconds: float) -> list[Client]:
    clients = [Client(base_url) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    for client in clients:
        client.is_done = True
    for client in clients:
        client.join()
    return clients


def p99(clients: list[Client]) -> float:
    seconds = sorted(each for client in clients for each in client.seconds)
    return seconds[int(len(seconds) * 0.99)]


def test_clients_notice_next_to_nothing(four: list[FakeBackend], router_config: RouterConfig, settings: Any) -> None:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    timeouts = Timeouts(first_byte_timeout=FIRST_BYTE_TIMEOUT)
    config = replace(
        router_config,
        backends=tuple(
            BackendConfig(name, each.base_url, timeouts=timeouts) for name, each in zip("abcd", four, strict=True)
        ),
        routing=RoutingConfig(max_tries=4, breaker_pause=1, probe_interval=0.5, probe_timeout=0.5),
    )
    gateway = Gateway(config)
    metrics = f"{gateway.url}/metrics"
    try:
        healthy = load(gateway.base_url, 2)
        four[0].stop()
        four[1].script(times=None, delay_ms=10_000)
        four[2].script(times=None, status=500)
        sick = load(gateway.base_url, SECONDS)
        spared = httpx.get(metrics).text
        four[1].app.scripts.clear()
        four[2].app.scripts.clear()
        time.sleep(4)
        before = [each.calls()["chat"] for each in four[1:3]]
        recovered = load(gateway.base_url, 2)
        after = [each.calls()["chat"] for each in four[1:3]]
    finally:
        gateway.stop()
    statuses = [status for client in (*sick, *recovered) for status in client.statuses]
    assert len(statuses) > 1000
    assert statuses.count(200) >= 0.999 * len(statuses), {each: statuses.count(each) for each in set(statuses)}
    assert p99(sick) <= p99(healthy) + FIRST_BYTE_TIMEOUT + 0.25  # the clock is looked at four times a second
    for name in "abc":
        assert f'router_backend_spared{{backend="{name}"}} 1.0' in spared
    assert 'router_backend_spared{backend="d"} 0.0' in spared
    assert all(now - then > 20 for now, then in zip(after, before, strict=True)), (before, after)
