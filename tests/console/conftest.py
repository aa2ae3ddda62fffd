"""The console beside a real gateway: what is asked of the one is seen in the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from cache_admin import access
from responses_api import index_drain
from responses_api.cache import filing, filing_queue, service
from responses_api.cache.filing_queue import Filing
from responses_api.config.schema import ModelConfig, Price, ResponseCacheConfig, RouterConfig
from responses_api.redis.sync import sync_client
from tests.console_beside import console_beside
from tests.gateway import Gateway

Ask = Callable[..., dict[str, Any]]


class Console:
    """A gateway, what it was asked, and a browser without JavaScript for each role."""

    def __init__(self, gateway: Gateway, http: httpx.Client, redis: Any, prefix: str) -> None:
        self.gateway = gateway
        self.http = http
        self.redis = redis
        self.prefix = prefix

    def ask(self, body: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """A create; its response, in the index by the time this returns."""
        answer = self.send({"model": "m", "input": "hi", **(body or {})}, **headers)
        return dict(answer.json())

    def send(self, body: dict[str, Any], path: str = "/responses", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.post(path, json=body, headers=named)
        self.drain()
        return answer

    def drain_all(self) -> None:
        """What has come by now, and a little later."""
        time.sleep(0.1)
        index_drain.drain(self.redis, self.prefix)

    def drain(self) -> None:
        """Waits for what the last request says of itself, which goes a little after its answer."""
        deadline = time.monotonic() + 5
        while not index_drain.drain(self.redis, self.prefix).written:
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.005)


@pytest.fixture
def router_config(router_config: RouterConfig) -> RouterConfig:
    return replace(
        router_config,
        response_cache=ResponseCacheConfig(),
        model_config={"m": ModelConfig(price=Price(input=1_000_000, output=2_000_000))},
    )


@pytest.fixture
def console(router_config: RouterConfig, settings: Any, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[Console]:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    monkeypatch.setattr(service, "LOOKUP_SECONDS", 5)
    monkeypatch.setattr(filing_queue, "GATHER_SECONDS", 0.01)
    client = sync_client(router_config.response_api.redis)

    def file(filings: Any) -> None:
        filing.file_all(client, router_config, list[Filing](filings))

    gateway = Gateway(router_config, file=file)
    with console_beside(gateway, router_config), httpx.Client(base_url=gateway.base_url, timeout=10) as http:
        yield Console(gateway, http, client, router_config.response_api.redis.key_prefix)
    gateway.stop()
    client.close()


@pytest.fixture
def as_role(db: None) -> Callable[[str], Client]:
    """A browser of somebody who has this role."""

    def log_in(role: str) -> Client:
        user = User.objects.create_user(role.replace(" ", "-"), password="secret", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def operator(as_role: Callable[[str], Client]) -> Client:
    return as_role(access.OPERATOR)


@pytest.fixture
def viewer(as_role: Callable[[str], Client]) -> Client:
    return as_role(access.VIEWER)
