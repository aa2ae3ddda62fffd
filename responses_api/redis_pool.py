"""Redis from the configuration, standalone or Cluster, sync or async; and one pipeline per event-loop turn."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from responses_api.config.schema import RedisConfig

Argument = bytes | str | int | float
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
    retry = Retry(ExponentialBackoff(cap=1, base=0.05), config.max_retries)
    if config.cluster_mode:
        nodes = [redis.cluster.ClusterNode(*split_address(address)) for address in config.cluster_addresses]
        return redis.cluster.RedisCluster(startup_nodes=nodes, **_common(config, retry))
    host, port = split_address(config.address or DEFAULT_ADDRESS)
    return redis.Redis(host=host, port=port, db=config.db, **_common(config, retry))


def async_client(config: RedisConfig) -> redis.asyncio.Redis | redis.asyncio.cluster.RedisCluster:
    """For the hot path: the sync client's twin. Belongs to the event loop that first uses it."""
    retry = AsyncRetry(ExponentialBackoff(cap=1, base=0.05), config.max_retries)
    if config.cluster_mode:
        nodes = [redis.asyncio.cluster.ClusterNode(*split_address(address)) for address in config.cluster_addresses]
        return redis.asyncio.cluster.RedisCluster(startup_nodes=nodes, **_common(config, retry))
    host, port = split_address(config.address or DEFAULT_ADDRESS)
    pool = redis.asyncio.BlockingConnectionPool(
        host=host,
        port=port,
        db=config.db,
        timeout=config.dial_timeout,
        connection_class=redis.asyncio.SSLConnection if config.tls_enabled else redis.asyncio.Connection,
        **{name: value for name, value in _common(config, retry).items() if name != "ssl"},
    )
    return redis.asyncio.Redis.from_pool(pool)


def _common(config: RedisConfig, retry: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": config.username or None,
        "password": config.password or None,
        "max_connections": config.pool_size,
        "socket_connect_timeout": config.dial_timeout,
        # redis-py knows one timeout for both directions; the longer one never cuts a healthy exchange.
        "socket_timeout": max(config.read_timeout, config.write_timeout),
        "retry": retry,
        "health_check_interval": 0,
    }
    if config.tls_enabled:
        options |= {
            "ssl": True,
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
            "ssl_ca_certs": config.tls_ca_path or None,
            "ssl_certfile": config.tls_cert_path or None,
            "ssl_keyfile": config.tls_key_path or None,
        }
    return options


class RedisPool:
    """Commands issued in one turn of the event loop travel as one pipeline.

    One command at a time costs 65 µs, in company 17 µs. While `max_flushes` pipelines are on their way further
    commands gather for the next, so that load makes pipelines longer, not more numerous.
    """

    def __init__(self, config: RedisConfig) -> None:
        self.config = config
        self.key_prefix = config.key_prefix
        self._client = async_client(config)
        self._max_flushes = max(1, config.pool_size - 1)
        self._waiting: list[tuple[tuple[Argument, ...], asyncio.Future[Any]]] = []
        self._flushes: set[asyncio.Task[None]] = set()
        self._scheduled = False

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """Queues `command` for this turn's pipeline. The future gives its reply or raises what Redis raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((command, future))
        if not self._scheduled and len(self._flushes) < self._max_flushes:
            self._scheduled = True
            loop.call_soon(self._flush)
        return future

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, in order, in one round trip (per node in a Cluster)."""
        if not keys:
            return []
        if self.config.cluster_mode:
            return list(await asyncio.gather(*(self.execute("GET", key) for key in keys)))
        values: list[bytes | None] = await self.execute("MGET", *keys)
        return values

    async def ping(self) -> None:
        """Raises one of `CONNECTION_ERRORS` when Redis does not answer."""
        await self.execute("GET", f"{self.key_prefix}ping")

    async def warm_up(self) -> None:
        """Opens `min_idle_conns` connections, so that the first requests need not."""
        if self.config.cluster_mode:
            await self.ping()
            return
        pool = self._client.connection_pool  # type: ignore[union-attr]
        connections = [await pool.get_connection() for _ in range(self.config.min_idle_conns)]
        for connection in connections:
            await pool.release(connection)

    async def aclose(self) -> None:
        """Lets what is on its way arrive, then disconnects."""
        while self._flushes or self._waiting:
            await (asyncio.wait(self._flushes) if self._flushes else asyncio.sleep(0))
        await self._client.aclose()

    def _flush(self) -> None:
        self._scheduled = False
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        task = asyncio.ensure_future(self._send(batch))
        self._flushes.add(task)
        task.add_done_callback(self._flushed)

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._flushes.discard(task)
        if self._waiting and not self._scheduled:
            self._flush()

    async def _send(self, batch: list[tuple[tuple[Argument, ...], asyncio.Future[Any]]]) -> None:
        replies: Sequence[Any]
        try:
            if len(batch) == 1 and not self.config.cluster_mode:
                replies = [await self._client.execute_command(*batch[0][0])]
            else:
                pipeline = self._client.pipeline(transaction=False)
                for command, _ in batch:
                    pipeline.execute_command(*command)
                replies = await pipeline.execute(raise_on_error=False)
        except BaseException as error:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            replies = [error] * len(batch)
        for (_, future), reply in zip(batch, replies, strict=True):
            _settle(future, reply)


def _settle(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():  # its request was cancelled
        return
    if isinstance(reply, asyncio.CancelledError):
        future.cancel()
    elif isinstance(reply, BaseException):
        future.set_exception(reply)
    else:
        future.set_result(reply)
