"""The servers that the contracts hold on: the embedded Valkey, Debian's Redis 7, a Cluster of six."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest

from responses_api.config.schema import RedisConfig
from responses_api.redis.pool import RedisPool
from tests.redis_server import redis_server_binary
from tests.valkey import Valkey

SERVERS = ("valkey", "redis7", "cluster")


@pytest.fixture(scope="session")
def redis7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("redis7"), binary=redis_server_binary())
    yield server
    server.stop()


@pytest.fixture
def config_of(request: pytest.FixtureRequest, redis_config: RedisConfig) -> Callable[[str], RedisConfig]:
    """The configuration of one of `SERVERS`; tests keep apart by key prefix."""

    def config_of(server: str) -> RedisConfig:
        if server == "cluster":
            addresses = tuple(request.getfixturevalue("cluster").addresses)
            return replace(redis_config, address="", cluster_mode=True, cluster_addresses=addresses)
        return replace(redis_config, address=request.getfixturevalue(server).address)

    return config_of


@pytest.fixture(params=SERVERS)
async def pool(request: pytest.FixtureRequest, config_of: Callable[[str], RedisConfig]) -> AsyncIterator[RedisPool]:
    pool = RedisPool(config_of(request.param))
    yield pool
    await pool.aclose()
