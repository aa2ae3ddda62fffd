"""Redis from the configuration, standalone or Cluster, sync or async; and one pipeline per event-loop turn."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any

import redis
import redis.cluster
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from responses_api.config.schema import RedisConfig
from responses_api.redis_link import Argument
from responses_api.redis_node import FIRST_RETRY_SECONDS, Node, exchange_seconds

DEFAULT_ADDRESS = "localhost:6379"

# Everything that a lost or slow server raises, whichever layer notices.
CONNECTION_ERRORS = (RedisError, OSError, asyncio.TimeoutError)


def split_address(address: str) -> tuple[str, int]:
    """`host:port`, `host` or `[v6]:port` → host and port; the port defaults to 6379."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        host, port = address, "6379"
    return host.strip("[]"), int(port)


def sync_client(config: RedisConfig) -> redis.Redis | redis.cluster.RedisCluster:
    """For tasks and console. Connects on first use."""
    retry = Retry(ExponentialBackoff(cap=1, base=FIRST_RETRY_SECONDS), config.max_retries)
    options = {
        **_credentials(config),
        "max_connections": config.pool_size,
        "socket_timeout": exchange_seconds(config),
        "retry": retry,
    }
    if config.tls_enabled:
        options |= {"ssl": True, **tls_options(config)}
    if config.cluster_mode:
        nodes: list[Any] = [
            redis.cluster.ClusterNode(*split_address(address))  # type: ignore[no-untyped-call]
            for address in config.cluster_addresses
        ]
        return redis.cluster.RedisCluster(startup_nodes=nodes, **options)
    host, port = split_address(config.address or DEFAULT_ADDRESS)
    return redis.Redis(host=host, port=port, db=config.db, **options)


def _credentials(config: RedisConfig) -> dict[str, Any]:
    return {
        "username": config.username or None,
        "password": config.password or None,
        "socket_connect_timeout": config.dial_timeout,
    }


def tls_options(config: RedisConfig) -> dict[str, Any]:
    return {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_ca_certs": config.tls_ca_path or None,
        "ssl_certfile": config.tls_cert_path or None,
        "ssl_keyfile": config.tls_key_path or None,
    }


class RedisPool:
    """Commands issued in one turn of the event loop travel as one pipeline (per node in a Cluster)."""

    def __init__(self, config: RedisConfig) -> None:
        """Call it on the event loop that uses the pool."""
        self.config = config
        self.key_prefix = config.key_prefix
        self._loop = asyncio.get_running_loop()
        self._node = Node(config, *split_address(config.address or DEFAULT_ADDRESS))

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """Queues `command` for this turn's pipeline. The future gives its reply or raises what Redis raised.

        Replies are Redis' own (bytes, integers, None, lists): `OK` is true, in whatever form.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self._node.add((command, future))
        return future

    def execute_soon(self, *command: Argument) -> asyncio.Future[Any]:
        """The same for what nobody waits for: it may go a little later, where that saves a pipeline of its own."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._node.add_soon((command, future))
        return future

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, in order, in one round trip (per node in a Cluster)."""
        if not keys:
            return []
        if len(keys) == 1:
            return [await self.execute("GET", keys[0])]
        if self.config.cluster_mode:
            return list(await asyncio.gather(*(self.execute("GET", key) for key in keys)))
        values: list[bytes | None] = await self.execute("MGET", *keys)
        return values

    async def count_existing(self, keys: Sequence[str]) -> int:
        """How many of `keys` there are, in one round trip (per node in a Cluster)."""
        if not keys:
            return 0
        if self.config.cluster_mode:
            return sum(await asyncio.gather(*(self.execute("EXISTS", key) for key in keys)))
        count: int = await self.execute("EXISTS", *keys)
        return count

    async def ping(self) -> None:
        """Raises one of `CONNECTION_ERRORS` when Redis does not answer."""
        await self.execute("GET", f"{self.key_prefix}ping")

    async def warm_up(self) -> None:
        """Opens `min_idle_conns` connections, so that the first requests need not."""
        await self._node.warm_up(self.config.min_idle_conns)

    async def aclose(self) -> None:
        """Lets what is on its way arrive, then disconnects."""
        await self._node.aclose()
