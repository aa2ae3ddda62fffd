"""Two gateways over one Redis, as two web processes are; answers are filed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from responses_api.cache import filing, filing_queue, service
from responses_api.cache.filing_queue import Filing
from responses_api.config.schema import RedisConfig, ResponseCacheConfig, RouterConfig
from responses_api.redis.sync import sync_client
from tests.gateway import Gateway

Ask = Callable[..., httpx.Response]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy test machine is no slow Redis; and what is to be filed need not gather for long."""
    monkeypatch.setattr(service, "LOOKUP_SECONDS", 5)
    monkeypatch.setattr(filing_queue, "GATHER_SECONDS", 0.02)


@pytest.fixture
def cache_config() -> ResponseCacheConfig:
    return ResponseCacheConfig(default="on")


@pytest.fixture
def router_config(router_config: RouterConfig, cache_config: ResponseCacheConfig) -> RouterConfig:
    return replace(router_config, response_cache=cache_config)


@pytest.fixture
def redis_client(redis_config: RedisConfig) -> Iterator[Any]:
    client = sync_client(redis_config)
    yield client
    client.close()


@pytest.fixture
def filed(router_config: RouterConfig, redis_client: Any) -> Callable[[Sequence[Filing]], None]:
    """The worker: what it was given, it has done."""

    def file(filings: Sequence[Filing]) -> None:
        filing.file_all(redis_client, router_config, filings)

    return file


@pytest.fixture
def gateway(router_config: RouterConfig, filed: Any, settings: Any) -> Iterator[Gateway]:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    gateway = Gateway(router_config, file=filed)
    yield gateway
    gateway.stop()


@pytest.fixture
def other_gateway(router_config: RouterConfig, filed: Any, gateway: Gateway) -> Iterator[Gateway]:
    """Another process: it shares nothing with the first but Redis."""
    other = Gateway(router_config, file=filed)
    yield other
    other.stop()


@pytest.fixture
def other(other_gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=other_gateway.base_url, timeout=10) as client:
        yield client
