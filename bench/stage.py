"""Everything the rows need, started when the first of them asks for it and ended with the benchmark."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench import cores, servers
from bench.servers import Server

ANSWER_BYTES = 1500
TOKENS_PER_SECOND = 50
STREAM_SECONDS = 5

BACKENDS = {
    "answers": ["--answer-bytes", str(ANSWER_BYTES)],
    "stream": ["--tokens", str(TOKENS_PER_SECOND * STREAM_SECONDS), "--tokens-per-second", str(TOKENS_PER_SECOND)],
    "turns": ["--tokens", "20", "--tokens-per-second", "0"],
    "long": ["--tokens", "500", "--tokens-per-second", "0"],
    # Two tokens a second, for half a minute.
    "steady": ["--tokens", "60", "--tokens-per-second", "2"],
    "slow": ["--tokens", "1000", "--tokens-per-second", "2"],
}
"""Model → how its demo backend answers. A row with another need adds one here."""


@dataclass(slots=True)
class Cost:
    """CPU seconds of one window, which lasted `seconds`."""

    seconds: float = 0
    server: float = 0
    rest: float = 0
    """The load generator, backends and Valkey together."""
    others: float = 0
    """Processes that are none of ours, on the cores that are."""

    def add(self, other: Cost) -> None:
        self.seconds += other.seconds
        self.server += other.server
        self.rest += other.rest
        self.others += other.others


class Stage:
    """The servers, each started once; a context manager that ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ending = contextlib.ExitStack()
        self._helpers: list[Server] = []
        self.server_cores, self.rest_cores = cores.split()
        os.sched_setaffinity(0, self.rest_cores)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @cached_property
    def redis(self) -> Server:
        return self._helper(servers.valkey(self._folder, self.rest_cores))

    @cached_property
    def backends(self) -> dict[str, Server]:
        return {
            name: self._helper(servers.backend(self._folder, self.rest_cores, *options))
            for name, options in BACKENDS.items()
        }

    @cached_property
    def hello(self) -> Server:
        return self._ending.enter_context(
            servers.uvicorn("bench.hello:hello", self._folder, self.server_cores, environ={})
        )

    @cached_property
    def hello_redis(self) -> Server:
        environ = {"BENCH_REDIS_PORT": str(self.redis.port)}
        return self._ending.enter_context(
            servers.uvicorn("bench.hello:hello_redis", self._folder, self.server_cores, environ)
        )

    @cached_property
    def gateway(self) -> Server:
        return self._ending.enter_context(self.fresh_gateway())

    @cached_property
    def cluster_gateway(self) -> Server:
        """The same with its state in a Redis Cluster of six nodes, three of them replicas."""
        cluster = self._ending.enter_context(servers.cluster(self._folder / "cluster"))
        block = f"{{cluster_mode: true, cluster_addresses: {cluster.addresses}}}"
        site = servers.site(self._folder, block, self.backends)
        site["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{self.redis.port}/1"
        return self._ending.enter_context(servers.gateway(self._folder, self.server_cores, site))

    def fresh_gateway(self) -> Server:
        """One more gateway, for the caller to end: memory is not read from one that other rows have used."""
        return servers.gateway(self._folder, self.server_cores, self.site)

    @cached_property
    def site(self) -> dict[str, str]:
        return servers.site(self._folder, f"{{address: '127.0.0.1:{self.redis.port}'}}", self.backends)

    @cached_property
    def worker(self) -> Server:
        """On the gateway's core: the row that uses it measures it, not the gateway."""
        return self._ending.enter_context(servers.worker(self._folder, self.server_cores, self.site))

    def fresh_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))

    @contextlib.contextmanager
    def cost_of(self, server: Server) -> Iterator[Cost]:
        """Measures what happens inside; the figures are there once it is left."""
        cost = Cost()
        began, before = time.perf_counter(), self._cpu_seconds(server)
        yield cost
        cost.seconds = time.perf_counter() - began
        spent, rest, total = (after - then for after, then in zip(self._cpu_seconds(server), before, strict=True))
        cost.server, cost.rest, cost.others = spent, rest, max(0.0, total - spent - rest)

    def _cpu_seconds(self, server: Server) -> tuple[float, float, float]:
        rest = sum(helper.cpu_seconds() for helper in self._helpers) + time.process_time()
        return server.cpu_seconds(), rest, cores.busy_seconds(self.server_cores | self.rest_cores)

    def _helper(self, server: Server) -> Server:
        self._helpers.append(self._ending.enter_context(server))
        return server
