"""How many runs a project and each of its keys may have at once: a place for each run, in Redis, held by a lease.

One script takes a place of every subject or of none. A process renews what its runs hold, all together; what a dead one
held is free again after `LEASE_SECONDS`. Times are the server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from responses_api import metrics
from responses_api.errors import RateLimited, StoreUnavailable
from responses_api.limits import ADMIT_SECONDS, Allowance, bucket_key
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool
from responses_api.redis.scripts import Script

log = structlog.get_logger(__name__)

LEASE_SECONDS = 15.0
RETRY_SECONDS = 2
"""When whoever found no place may look again."""

# KEYS: a sorted set for each subject: who holds a place → until when. ARGV: holder, lease, then each one's places.
_NOW = "local t = redis.call('TIME')\nlocal now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
# Gives who has no place left; 0: they are taken.
_TAKE = Script(f"""
{_NOW}
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if not redis.call('ZSCORE', key, ARGV[1]) and redis.call('ZCARD', key) >= tonumber(ARGV[i + 2]) then return i end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return 0
""")
_RENEW = Script(f"""
{_NOW}
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, 'XX', now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return 1
""")


def places_key(prefix: str, project: str, subject: str) -> str:
    """`{sr:limits:default}:project:running`."""
    return f"{bucket_key(prefix, project, subject)}:running"


class Places:
    """One per event loop. Without a pool there is room for all."""

    def __init__(self, pool: RedisPool | None, *, fail_open: bool) -> None:
        self._pool = pool
        self._fail_open = fail_open
        self._held: dict[str, list[str]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def holding(self, project: str, allowances: Sequence[Allowance], holder: str) -> AsyncIterator[None]:
        """A place of each subject, as long as the block lasts. Raises as `take` does."""
        await self.take(project, allowances, holder)
        try:
            yield
        finally:
            self.give_back(holder)

    async def take(self, project: str, allowances: Sequence[Allowance], holder: str) -> None:
        """Raises `RateLimited`; where Redis is away `StoreUnavailable`, unless configured to let everyone in then."""
        bounded = [each for each in allowances if each.runs_at_once]
        if self._pool is None or not bounded:
            return
        keys = [places_key(self._pool.key_prefix, project, each.subject) for each in bounded]
        limits = [each.runs_at_once for each in bounded]
        try:
            async with asyncio.timeout(ADMIT_SECONDS):
                full = await self._pool.run(_TAKE, keys, holder, int(LEASE_SECONDS * 1000), *limits)
        except (*CONNECTION_ERRORS, TimeoutError) as error:
            metrics.LIMITS_UNCHECKED.inc()
            log.warning("limits_not_checked", project=project, reason=str(error) or type(error).__name__)
            if self._fail_open:
                return
            raise StoreUnavailable(f"redis: {type(error).__name__}") from error
        if full:
            metrics.of(metrics.LIMITED, "runs").inc()
            raise _refusal(bounded[full - 1])
        self._held[holder] = keys
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LEASE_SECONDS / 3, self._renew)

    def give_back(self, holder: str) -> None:
        """Nothing where it holds none."""
        keys = self._held.pop(holder, None)
        if keys is not None and self._pool is not None:
            for key in keys:
                self._pool.tell(_not_checked, "ZREM", key, holder)

    def _renew(self) -> None:
        self._timer = None
        if not self._held or self._pool is None:
            return
        for holder, keys in self._held.items():
            reply = self._pool.run(_RENEW, keys, holder, int(LEASE_SECONDS * 1000))
            reply.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._timer = asyncio.get_running_loop().call_later(LEASE_SECONDS / 3, self._renew)


def _not_checked(_: BaseException) -> None:
    metrics.LIMITS_UNCHECKED.inc()


def _refusal(allowance: Allowance) -> RateLimited:
    who = "this project" if allowance.subject == "project" else "this API key"
    return RateLimited(
        f"Limit reached for {who}: {allowance.runs_at_once:,} requests at once. Try again when one has ended.",
        headers=[("retry-after", str(RETRY_SECONDS)), ("retry-after-ms", str(RETRY_SECONDS * 1000))],
    )
