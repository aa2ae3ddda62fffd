"""What each process says of itself every two seconds, so that the console sees all of them wherever it runs.

A report is a key that lives for `ALIVE_SECONDS`: clocks of different machines do not matter, and a process that died is
gone from the list. Beside the reports stand the names of all that ever reported, to find their keys by.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import structlog
from msgspec import Struct, field

from responses_api.backends.fleet import Standing
from responses_api.redis.link import Argument
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool
from responses_api.shapes.ids import new_id

log = structlog.get_logger(__name__)

BEAT_SECONDS = 2.0
ALIVE_SECONDS = 10


class TaskReport(Struct):
    """A task that is running; `since` in Unix seconds."""

    id: str
    name: str
    about: str
    since: float


class Report(Struct, omit_defaults=True, kw_only=True):
    """One process, now. `started_at` and `at` in Unix seconds of its own clock."""

    id: str
    kind: Literal["web", "worker"]
    name: str
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    started_at: float
    at: float = field(default_factory=time.time)
    open_streams: int = 0
    lag_ms: float = 0
    """How late its event loop was at the last beat."""
    endpoints: dict[str, Standing] = {}
    tasks: list[TaskReport] = []
    concurrency: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Report)


def new_process_id() -> str:
    return new_id("proc")


def processes_key(prefix: str) -> str:
    """`sr:processes`: a set of process ids."""
    return f"{prefix}processes"


def process_key(prefix: str, process_id: str) -> str:
    """`sr:process:proc_…`: its last report as JSON."""
    return f"{prefix}process:{process_id}"


def encode(report: Report) -> bytes:
    return _encoder.encode(report)


class Pulse:
    """One per event loop: `describe` is asked for a report at each beat, and given how late the loop was."""

    def __init__(self, pool: RedisPool, describe: Callable[[float], Report]) -> None:
        self._pool = pool
        self._describe = describe
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._beating = asyncio.ensure_future(self._beat())

    async def aclose(self) -> None:
        """Takes leave: the process is not listed any more."""
        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        report = self._describe(0)
        prefix = self._pool.key_prefix
        await self._send(("SREM", processes_key(prefix), report.id), ("DEL", process_key(prefix, report.id)))

    async def _beat(self) -> None:
        loop, prefix = asyncio.get_running_loop(), self._pool.key_prefix
        late = 0.0
        while True:
            report = self._describe(late * 1000)
            key = process_key(prefix, report.id)
            await self._send(
                ("SADD", processes_key(prefix), report.id), ("SET", key, encode(report), "EX", ALIVE_SECONDS)
            )
            due = loop.time() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            late = max(0.0, loop.time() - due)

    async def _send(self, *commands: tuple[Argument, ...]) -> None:
        try:
            for reply in [self._pool.execute(*command) for command in commands]:
                await reply
        except CONNECTION_ERRORS as error:
            log.info("process_not_reported", reason=str(error) or type(error).__name__)


def read_all(client: Any, prefix: str) -> list[Report]:
    """Every living process, by kind and name. `client` is a sync redis client; raises what Redis raises."""
    ids = [each.decode() for each in client.smembers(processes_key(prefix))]
    values = [client.get(process_key(prefix, each)) for each in ids]
    if gone := [each for each, value in zip(ids, values, strict=True) if value is None]:
        client.srem(processes_key(prefix), *gone)
    return sorted((_decoder.decode(value) for value in values if value), key=lambda report: (report.kind, report.name))
