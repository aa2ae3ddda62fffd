"""What every test may use: a real Valkey, a scripted backend, a gateway on a real socket; and no network beyond."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import redis
from hypothesis import HealthCheck

from responses_api.config.schema import BackendConfig, RedisConfig, ResponseApiConfig, RouterConfig
from responses_api.redis.pool import RedisPool
from responses_api.webhooks import deliveries
from router_site.cluster_dev import DevCluster
from tests.cluster import new_cluster
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.valkey import Valkey
from tests.worker import Worker

# A busy machine draws examples slowly, and that is no fault of what is tested.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")

LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True, scope="session")
def _network_off() -> Iterator[None]:
    """A test that calls out fails at once, with the address it wanted."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server a test process; tests keep apart by key prefix, or by `flushed`."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_url(valkey: Valkey) -> str:
    return valkey.url


@pytest.fixture(autouse=True)
def _nobody_listens() -> None:
    """What a process remembers of the database does not outlive a test's transaction."""
    deliveries.listeners.forget()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server that the test may stop, pause and start again; it keeps its data in an append-only file."""
    server = Valkey(tmp_path, None, "--appendonly", "yes", "--save", "")
    yield server
    server.resume()
    server.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    cluster = new_cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.down()


@pytest.fixture
def redis_config(valkey: Valkey, request: pytest.FixtureRequest) -> RedisConfig:
    return RedisConfig(address=valkey.address, key_prefix=f"t{abs(hash(request.node.nodeid)):x}:")


@pytest.fixture
async def pool(redis_config: RedisConfig) -> AsyncIterator[RedisPool]:
    pool = RedisPool(redis_config)
    yield pool
    await pool.aclose()


@pytest.fixture(scope="session")
def _backend() -> Iterator[FakeBackend]:
    backend = FakeBackend()
    yield backend
    backend.stop()


@pytest.fixture
def backend(_backend: FakeBackend) -> FakeBackend:
    """The scripted backend, forgetful of earlier tests."""
    _backend.reset()
    return _backend


@pytest.fixture
def router_config(redis_config: RedisConfig, backend: FakeBackend) -> RouterConfig:
    return RouterConfig(
        response_api=ResponseApiConfig(store_backend="redis", ttl_seconds=3600, redis=redis_config),
        backends=(BackendConfig("fake", backend.base_url),),
    )


@pytest.fixture
def worker(router_config: RouterConfig) -> Iterator[Worker]:
    """Makes the background runs of `gateway`."""
    worker = Worker(router_config)
    yield worker
    worker.stop()


@pytest.fixture
def gateway(router_config: RouterConfig, settings: Any, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """Open to anyone, so that no test but those of keys needs a database. A test with a `worker` has it as well."""
    settings.ROUTER_ALLOW_ANONYMOUS = True
    worker = request.getfixturevalue("worker") if "worker" in request.fixturenames else None
    gateway = Gateway(router_config, enqueue=worker.enqueue if worker else None)
    yield gateway
    gateway.stop()


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.base_url, timeout=10) as client:
        yield client


@pytest.fixture
def redis_cli(redis_config: RedisConfig) -> Iterator[redis.Redis]:
    """What an operator types into `redis-cli`."""
    client = redis.Redis.from_url(f"redis://{redis_config.address}/0", decode_responses=True)
    yield client
    client.close()
