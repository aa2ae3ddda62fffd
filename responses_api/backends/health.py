"""What is known of endpoints beyond one process: probed by one of them, told to the others through Redis, listed by
the console.

A key for each endpoint that is not to be asked lives as long as that holds: clocks of different machines do not matter.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import httpx
import msgspec
import structlog
from msgspec import Struct

from responses_api import metrics
from responses_api.backends.fleet import Fleet
from responses_api.backends.registry import Endpoint, Listed
from responses_api.breaker import BreakerState
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool

log = structlog.get_logger(__name__)

SHARE_SECONDS = 0.5
LIST_SECONDS = 1.0
SETTLE_SECONDS = 1.0
"""How long a process goes by what it has just told, whatever Redis says: it may not have arrived."""

ReadListed = Callable[[], Sequence[Listed]]
"""What the console lists; blocks, and may raise anything."""


def spared_key(prefix: str, name: str) -> str:
    """`sr:backend:{name}:spared`: why it is not asked, for as long."""
    return f"{prefix}backend:{name}:spared"


def probes_key(prefix: str) -> str:
    """`sr:backends:probes`: a hash, endpoint → the last probe as JSON."""
    return f"{prefix}backends:probes"


def prober_key(prefix: str) -> str:
    """`sr:backends:prober`: held by the process that probes."""
    return f"{prefix}backends:prober"


class Probe(Struct):
    """`at` Unix seconds, `ms` until the answer; `failures` in a row, `reason` of the last."""

    at: float
    ms: float
    failures: int
    reason: str = ""


class Health:
    """One per event loop: `start`, then `aclose`. Without a pool each process has to learn by itself."""

    def __init__(self, fleet: Fleet, pool: RedisPool | None, read_listed: ReadListed | None = None) -> None:
        self._fleet = fleet
        self._pool = pool
        self._rules = fleet.rules
        self._read_listed = read_listed
        self._probes: dict[str, Probe] = {}
        self._told_at: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._told: set[asyncio.Future[object]] = set()
        self._client: httpx.AsyncClient | None = None
        fleet.tell = self._tell

    def start(self) -> None:
        """Begins to probe, to share and to read what the console lists."""
        loops = [(LIST_SECONDS, self._list)] if self._read_listed is not None else []
        if self._pool is not None:
            loops.append((SHARE_SECONDS, self._share))
        if self._rules.probe_interval:
            self._client = httpx.AsyncClient(timeout=self._rules.probe_timeout, trust_env=False)
            loops.append((self._rules.probe_interval, self._probe_all))
        self._tasks = [asyncio.ensure_future(_forever(seconds, work)) for seconds, work in loops]
        if self._read_listed is not None:
            # At once: a model may be served by nothing else.
            self._tasks.append(asyncio.ensure_future(self._list()))

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    # -- what the console lists ----------------------------------------------------------------------------------

    async def _list(self) -> None:
        assert self._read_listed is not None  # noqa: S101 - else there is no such loop
        try:
            listed = await asyncio.to_thread(self._read_listed)
        except Exception as error:  # noqa: BLE001 - the table is away: what was known of it holds
            metrics.BACKENDS_UNREAD.inc()
            log.warning("backends_not_read", reason=str(error) or type(error).__name__)
            return
        if self._fleet.registry.apply(listed):
            log.info("backends_changed", backends=[each.name for each in self._fleet.registry.endpoints])

    # -- what others know ----------------------------------------------------------------------------------------

    def _tell(self, name: str, seconds: float, reason: str) -> None:
        if self._pool is None:
            return
        self._told_at[name] = time.monotonic()
        key = spared_key(self._pool.key_prefix, name)
        if seconds:
            reply = self._pool.execute("SET", key, reason or "failing", "PX", max(1, int(seconds * 1000)))
        else:
            reply = self._pool.execute("DEL", key)
        self._told.add(reply)
        reply.add_done_callback(self._heard)

    def _heard(self, reply: asyncio.Future[object]) -> None:
        self._told.discard(reply)
        if not reply.cancelled() and reply.exception() is not None:
            log.info("backend_state_not_shared", reason=str(reply.exception()))

    async def _share(self) -> None:
        """Learns what other processes have told since."""
        pool, registry = self._pool, self._fleet.registry
        assert pool is not None  # noqa: S101
        names = [each.name for each in registry.endpoints]
        reasons = await pool.get_many([spared_key(pool.key_prefix, name) for name in names])
        for name, reason in zip(names, reasons, strict=True):
            if time.monotonic() - self._told_at.get(name, 0.0) < SETTLE_SECONDS:
                continue
            if reason is not None:
                left = int(await pool.execute("PTTL", spared_key(pool.key_prefix, name)))
                if left > 0:
                    self._fleet.learn(name, left / 1000, reason.decode())
            elif self._fleet.state(name) is BreakerState.OPEN:
                self._fleet.learn_recovery(name)

    # -- probing -------------------------------------------------------------------------------------------------

    async def _probe_all(self) -> None:
        if self._pool is not None:
            lease = max(1, int(self._rules.probe_interval * 900))
            if not await self._pool.execute("SET", prober_key(self._pool.key_prefix), 1, "NX", "PX", lease):
                return  # another process does it
        endpoints = self._fleet.registry.endpoints
        await asyncio.gather(*(self._probe(each) for each in endpoints))
        if self._pool is not None and self._probes:
            pairs = [part for name, probe in self._probes.items() for part in (name, msgspec.json.encode(probe))]
            await self._pool.execute("HSET", probes_key(self._pool.key_prefix), *pairs)

    async def _probe(self, endpoint: Endpoint) -> None:
        """Whatever it answers, unless that is a 5xx: it is there."""
        assert self._client is not None  # noqa: S101
        headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        began, reason = time.perf_counter(), ""
        try:
            answer = await self._client.get(f"{endpoint.base_url}/models", headers={**headers, **endpoint.headers})
            if answer.status_code >= 500:
                reason = f"answers probes with HTTP {answer.status_code}"
        except httpx.HTTPError as error:
            reason = f"does not answer probes ({type(error).__name__})"
        before = self._probes.get(endpoint.name)
        failures = (before.failures if before else 0) + 1 if reason else 0
        milliseconds = (time.perf_counter() - began) * 1000
        self._probes[endpoint.name] = Probe(time.time(), round(milliseconds, 1), failures, reason)
        self._fleet.note_probe(endpoint.name, failures, reason)


async def _forever(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Every `seconds`; Redis may be away."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except CONNECTION_ERRORS as error:
            log.info("backend_state_unknown", reason=str(error) or type(error).__name__)
        except Exception as error:
            log.exception("backend_state_unknown", reason=str(error) or type(error).__name__)
