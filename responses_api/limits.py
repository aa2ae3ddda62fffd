"""How much a project and each of its keys may ask for: requests and tokens a minute, tokens and money a month.

How many at once: `places`.

A token bucket for each limit, full at first and filled evenly; all of a request's buckets are looked at and taken from
in one script, so that what one refuses, the other has not lost. A request takes its tokens at its end, when they are
known: a bucket may go below zero, and is then waited for. What the cache answers takes none. Times are the server's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from msgspec import Struct

from responses_api import metrics
from responses_api.config.schema import LimitsConfig
from responses_api.errors import RateLimited, StoreUnavailable
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool
from responses_api.redis.scripts import Script

log = structlog.get_logger(__name__)

ADMIT_SECONDS = 0.5
"""How long Redis may take to say yes or no."""
MONTH_SECONDS = 40 * 86_400
"""For how long a month's sum is kept."""

# KEYS: for each subject its buckets and its month's sums. ARGV: for each requests and tokens a minute, tokens and
# millionths of money a month.
_LEVELS = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function level(key, name, limit)
  local held = redis.call('HMGET', key, name, 'at')
  -- Also of a limit that there was not before.
  if not held[1] or held[1] == '' then return limit end
  return math.min(limit, tonumber(held[1]) + (now - tonumber(held[2])) * limit / 60000)
end
local function kept(level, limit) return limit > 0 and tostring(level) or '' end
local function until_full(level, limit) return limit > 0 and (limit - level) * 60000 / limit or 0 end
local function keep(key, requests, rpm, tokens, tpm)
  redis.call('HSET', key, 'requests', kept(requests, rpm), 'tokens', kept(tokens, tpm), 'at', now)
  redis.call('PEXPIRE', key, math.ceil(math.max(60000, until_full(requests, rpm), until_full(tokens, tpm))))
end
"""
# Gives who refuses (0: nobody), of what, and milliseconds to wait; then for each subject what is left.
_ADMIT = Script(f"""
{_LEVELS}
local found, left = {{}}, {{}}
for i = 1, #KEYS / 2 do
  local rpm, tpm = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
  local tokens_a_month, micros_a_month = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
  local requests, tokens = level(KEYS[2 * i - 1], 'requests', rpm), level(KEYS[2 * i - 1], 'tokens', tpm)
  if rpm > 0 and requests < 1 then return {{i, 'requests', math.ceil((1 - requests) * 60000 / rpm)}} end
  if tpm > 0 and tokens <= 0 then return {{i, 'tokens', math.ceil((1 - tokens) * 60000 / tpm)}} end
  if tokens_a_month > 0 or micros_a_month > 0 then
    local used = redis.call('HMGET', KEYS[2 * i], 'tokens', 'micros')
    if tokens_a_month > 0 and tonumber(used[1] or 0) >= tokens_a_month then return {{i, 'month', 0}} end
    if micros_a_month > 0 and tonumber(used[2] or 0) >= micros_a_month then return {{i, 'money', 0}} end
  end
  found[i] = {{requests, tokens, rpm, tpm}}
end
for i, f in ipairs(found) do
  local requests = f[1] - 1
  keep(KEYS[2 * i - 1], requests, f[3], f[2], f[4])
  left[#left + 1] = math.max(0, math.floor(requests))
  left[#left + 1] = math.max(0, math.floor(f[2]))
end
return {{0, '', 0, unpack(left)}}
""")
# The last two of ARGV: tokens that were used, and what they cost.
_CHARGE = Script(f"""
{_LEVELS}
local used, micros = tonumber(ARGV[#ARGV - 1]), tonumber(ARGV[#ARGV])
for i = 1, #KEYS / 2 do
  local rpm, tpm = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
  local requests, tokens = level(KEYS[2 * i - 1], 'requests', rpm), level(KEYS[2 * i - 1], 'tokens', tpm) - used
  keep(KEYS[2 * i - 1], requests, rpm, tokens, tpm)
  redis.call('HINCRBY', KEYS[2 * i], 'tokens', used)
  if micros > 0 then redis.call('HINCRBY', KEYS[2 * i], 'micros', micros) end
  redis.call('EXPIRE', KEYS[2 * i], {MONTH_SECONDS})
end
return 1
""")

Headers = list[tuple[bytes, bytes]]


class Allowance(Struct, frozen=True, omit_defaults=True):
    """What a `subject` (`project`, `key:7`) may ask for; 0: as much as it likes."""

    subject: str
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    tokens_per_month: int = 0
    runs_at_once: int = 0
    micros_per_month: int = 0
    """Millionths of the money that prices are in."""

    @property
    def is_bounded(self) -> bool:
        return any(self.bounds) or self.runs_at_once > 0

    @property
    def bounds(self) -> Sequence[int]:
        """In the scripts' order."""
        return self.requests_per_minute, self.tokens_per_minute, self.tokens_per_month, self.micros_per_month


class Used(Struct, frozen=True):
    """By one request, or in a month; `micros` are what it cost, in millionths of the money that prices are in."""

    tokens: int = 0
    micros: int = 0


def bucket_key(prefix: str, project: str, subject: str) -> str:
    """`{sr:limits:default}:project`: a hash. All of a project's share a slot."""
    return f"{{{prefix}limits:{project}}}:{subject}"


def month_key(prefix: str, project: str, subject: str, month: str) -> str:
    """`{sr:limits:default}:project:used:2026-11`: a hash of what was used in that month."""
    return f"{bucket_key(prefix, project, subject)}:used:{month}"


def this_month() -> str:
    """In UTC, as `2026-11`."""
    return time.strftime("%Y-%m", time.gmtime())


class Limits:
    """One per event loop. Without a pool nothing is limited."""

    def __init__(self, config: LimitsConfig, pool: RedisPool | None) -> None:
        self._fail_open = config.fail_open
        self._pool = pool

    async def admit(self, project: str, allowances: Sequence[Allowance]) -> Headers:
        """Takes one request from every bucket; what to tell of the tightest of them.

        Raises `RateLimited`; and `StoreUnavailable` where Redis is away, unless configured to let everyone in then.
        """
        if self._pool is None or not allowances:
            return []
        try:
            async with asyncio.timeout(ADMIT_SECONDS):
                refused, what, wait_ms, *left = await self._run(self._pool, _ADMIT, project, allowances)
        except (*CONNECTION_ERRORS, TimeoutError) as error:
            metrics.LIMITS_UNCHECKED.inc()
            log.warning("limits_not_checked", project=project, reason=str(error) or type(error).__name__)
            if self._fail_open:
                return []
            raise StoreUnavailable(f"redis: {type(error).__name__}") from error
        if refused:
            metrics.of(metrics.LIMITED, what.decode()).inc()
            raise _refusal(allowances[refused - 1], what.decode(), wait_ms)
        return _headers(allowances, left)

    def charge(self, project: str, allowances: Sequence[Allowance], used: Used) -> None:
        """Takes what a request has used. Nobody waits for it."""
        if self._pool is None or not allowances or not used.tokens:
            return
        reply = self._run(self._pool, _CHARGE, project, allowances, used.tokens, used.micros)
        reply.add_done_callback(_count_lost)

    @staticmethod
    def _run(
        pool: RedisPool, script: Script, project: str, allowances: Sequence[Allowance], *more: int
    ) -> asyncio.Future[Any]:
        month, prefix = this_month(), pool.key_prefix
        keys = [
            key
            for each in allowances
            for key in (bucket_key(prefix, project, each.subject), month_key(prefix, project, each.subject, month))
        ]
        bounds = [bound for each in allowances for bound in each.bounds]
        return pool.run(script, keys, *bounds, *more)


def used_this_month(client: Any, prefix: str, project: str, subject: str) -> Used:
    """`client` is a sync redis client; raises what Redis raises."""
    tokens, micros = client.hmget(month_key(prefix, project, subject, this_month()), "tokens", "micros")
    return Used(int(tokens or 0), int(micros or 0))


def _refusal(allowance: Allowance, what: str, wait_ms: int) -> RateLimited:
    who = "this project" if allowance.subject == "project" else "this API key"
    if what in ("month", "money"):
        tokens, money = allowance.tokens_per_month, allowance.micros_per_month / 1e6
        budget = f"{tokens:,} tokens" if what == "month" else f"{money:,.2f}, by the models' prices"
        return RateLimited(
            f"The monthly budget of {who} is spent: {budget}. An operator can raise it.", code="insufficient_quota"
        )
    limit = allowance.requests_per_minute if what == "requests" else allowance.tokens_per_minute
    seconds = max(1, -(-wait_ms // 1000))
    headers = [("retry-after", str(seconds)), ("retry-after-ms", str(wait_ms))]
    headers += [(f"x-ratelimit-limit-{what}", str(limit)), (f"x-ratelimit-remaining-{what}", "0")]
    headers += [(f"x-ratelimit-reset-{what}", _span(wait_ms)), ("ratelimit", f'"{what}";r=0;t={seconds}')]
    return RateLimited(
        f"Rate limit reached for {who}: {limit:,} {what} a minute. Try again in {_span(wait_ms)}.", headers=headers
    )


def _headers(allowances: Sequence[Allowance], left: Sequence[int]) -> Headers:
    """OpenAI's names, and those of the IETF's draft (RateLimit header fields for HTTP)."""
    found: Headers = []
    policies, standings = [], []
    requests = [(left[2 * i], each.requests_per_minute) for i, each in enumerate(allowances)]
    tokens = [(left[2 * i + 1], each.tokens_per_minute) for i, each in enumerate(allowances)]
    for name, buckets in (("requests", requests), ("tokens", tokens)):
        bounded = [bucket for bucket in buckets if bucket[1]]
        if not bounded:
            continue
        remaining, limit = min(bounded)
        reset_ms = (limit - remaining) * 60_000 // limit
        found += [
            (f"x-ratelimit-limit-{name}".encode(), b"%d" % limit),
            (f"x-ratelimit-remaining-{name}".encode(), b"%d" % remaining),
            (f"x-ratelimit-reset-{name}".encode(), _span(reset_ms).encode()),
        ]
        policies.append(f'"{name}";q={limit};w=60')
        standings.append(f'"{name}";r={remaining};t={-(-reset_ms // 1000)}')
    if policies:
        found += [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", ", ".join(standings).encode())]
    return found


def _span(milliseconds: int) -> str:
    """As OpenAI writes it: `120ms`, `1s`, `6m0s`."""
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, seconds = divmod(-(-milliseconds // 1000), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def bounded(allowances: Iterable[Allowance]) -> tuple[Allowance, ...]:
    return tuple(each for each in allowances if each.is_bounded)


def _count_lost(reply: asyncio.Future[Any]) -> None:
    if reply.cancelled() or reply.exception() is not None:
        metrics.LIMITS_UNCHECKED.inc()
