"""Background runs in Redis: who owns each, until when, and what it needs to be begun again.

Beside a response's record stands its run, a hash `{sr:response:resp_…}:run`, and the log of its events. A worker owns a
run by a token and a lease; whatever it writes is written by a script that looks at the token first, so that one that
lost its lease changes nothing any more. Times are the server's, in milliseconds: no clock of a worker matters.
Each script may be sent twice, when a reply was lost, and then changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from responses_api import metrics
from responses_api.errors import StoreUnavailable
from responses_api.redis.link import Argument
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool
from responses_api.redis.scripts import Script
from responses_api.stores.layout import background_key, companion_key, response_key
from responses_api.vault import Vault

T = TypeVar("T")

LoggedEvent = tuple[int, bytes, bytes]
"""`sequence_number`, type and JSON. Its id in the log is the number plus one: Redis knows no id 0."""

# KEYS in all of them: record, run, events.
_NOW = "local t = redis.call('TIME')\nlocal now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
_SUBMIT = Script("""
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', unpack(ARGV, 4)) then
  return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
end
redis.call('HSET', KEYS[2], 'state', 'queued', 'attempts', 0, 'request', ARGV[2], 'context', ARGV[3])
-- Every run is ended by somebody; should the list of them be lost, this is not for ever.
redis.call('EXPIRE', KEYS[2], 604800)
return 1
""")
_CLAIM = Script(f"""
{_NOW}
local held = redis.call('HMGET', KEYS[2], 'state', 'token')
if held[1] == 'queued' then
  redis.call('HINCRBY', KEYS[2], 'attempts', 1)
elseif held[1] ~= 'running' or held[2] ~= ARGV[1] then
  return false
end
redis.call('HSET', KEYS[2], 'state', 'running', 'token', ARGV[1], 'lease', now + ARGV[2])
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
local kept = redis.call('HMGET', KEYS[2], 'request', 'context')
return {{kept[1], kept[2], redis.call('GET', KEYS[1]), last[1] and last[1][1] or '0-0'}}
""")
_OURS = "if redis.call('HGET', KEYS[2], 'token') ~= ARGV[1] then return 0 end\n"
_RENEW = Script(f"""
{_OURS}
{_NOW}
redis.call('HSET', KEYS[2], 'lease', now + ARGV[2])
redis.call('HDEL', KEYS[2], 'suspect')
return 1
""")
# ARGV: token, seconds, most bytes, has it said something; then id, type and JSON of each event.
_LOG = Script(f"""
{_OURS}
local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
local last = newest[1] and tonumber(string.match(newest[1][1], '%d+')) or 0
local size = 0
for i = 5, #ARGV, 3 do
  if tonumber(string.match(ARGV[i], '%d+')) > last then
    redis.call('XADD', KEYS[3], ARGV[i], 't', ARGV[i + 1], 'd', ARGV[i + 2])
    size = size + #ARGV[i + 2] + 64
  end
end
redis.call('EXPIRE', KEYS[3], ARGV[2])
if ARGV[4] == '1' then redis.call('HSET', KEYS[2], 'spoken', 1) end
if redis.call('HINCRBY', KEYS[2], 'bytes', size) > tonumber(ARGV[3]) then
  redis.call('XTRIM', KEYS[3], 'MAXLEN', math.floor(redis.call('XLEN', KEYS[3]) / 2))
  redis.call('HSET', KEYS[2], 'bytes', math.floor(redis.call('HGET', KEYS[2], 'bytes') / 2))
end
return 1
""")
_UPDATE = Script(f"{_OURS}\nredis.call('SET', KEYS[1], ARGV[2], 'XX', 'KEEPTTL')\nreturn 1")
_WRITE_AHEAD = Script(f"{_OURS}\nredis.call('HSET', KEYS[2], 'outcome', ARGV[2])\nreturn 1")
# ARGV: token, id of the last event expected, seconds of the log, record; then id, type and JSON of the last event.
_CLOSE = Script("""
local held = redis.call('HMGET', KEYS[2], 'token', 'state')
if held[2] ~= 'queued' and held[2] ~= 'running' then return 0 end
if ARGV[1] ~= '*' and held[1] ~= ARGV[1] then return 0 end
if #ARGV > 4 then
  local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
  if ARGV[2] ~= '*' and (last[1] and last[1][1] or '0-0') ~= ARGV[2] then return -1 end
  redis.call('XADD', KEYS[3], ARGV[5], 't', ARGV[6], 'd', ARGV[7])
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
redis.call('SET', KEYS[1], ARGV[4], 'XX', 'KEEPTTL')
redis.call('HSET', KEYS[2], 'state', 'finished')
redis.call('HDEL', KEYS[2], 'token', 'lease', 'request', 'outcome', 'suspect')
redis.call('EXPIRE', KEYS[2], 86400)
return 1
""")
# A lease that ran out is only suspected the first time: after an outage of Redis its owner renews it late.
_LOOK = Script(f"""
{_NOW}
local r = redis.call('HMGET', KEYS[2], 'state', 'token', 'lease', 'suspect', 'attempts', 'spoken', 'outcome', 'context')
if not r[1] then return false end
local state = r[1]
if state == 'running' and tonumber(r[3]) <= now then
  state = r[4] and 'lost' or 'suspect'
  redis.call('HSET', KEYS[2], 'suspect', 1)
end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
return {{state, r[2] or '', r[5] or '0', r[6] or '', r[7] or '', r[8] or '', last[1] and last[1][1] or '0-0'}}
""")
_REQUEUE = Script(f"""
{_OURS}
redis.call('HSET', KEYS[2], 'state', 'queued')
redis.call('HDEL', KEYS[2], 'token', 'lease', 'suspect')
redis.call('SET', KEYS[1], ARGV[2], 'XX', 'KEEPTTL')
return 1
""")


class RunState(Enum):
    """`SUSPECT`: the lease has run out just now; `LOST`: it had at the last look already."""

    QUEUED = "queued"
    RUNNING = "running"
    SUSPECT = "suspect"
    LOST = "lost"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours now: the request's body and context as they were submitted, the record as it stands."""

    token: str
    request: bytes
    context: bytes
    record: bytes
    next_sequence: int


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as whoever looks after it sees it. `has_spoken`: its log tells of output; `outcome`: its untold end."""

    state: RunState
    token: str
    attempts: int
    has_spoken: bool
    outcome: bytes
    context: bytes
    next_sequence: int


class RedisRuns:
    """Every method raises `StoreUnavailable`; those that read, `LockedAwayError`."""

    def __init__(self, pool: RedisPool, ttl_seconds: int, log_seconds: int, log_max_bytes: int, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault
        self._ttl_seconds = ttl_seconds
        self._log_seconds = log_seconds
        self._log_max_bytes = log_max_bytes

    async def submit(self, response_id: str, record: bytes, request: bytes, context: bytes) -> bool:
        """Stores a queued run; False where the id is taken."""
        expiry = ("EX", self._ttl_seconds) if self._ttl_seconds else ()
        kept = (self._vault.lock(response_id, each) for each in (record, request, context))
        return bool(await self._script(_SUBMIT, response_id, *kept, *expiry))

    async def claim(self, response_id: str, token: str, lease_seconds: float) -> Claim | None:
        """None where it is not queued (any more)."""
        found = await self._script(_CLAIM, response_id, token, int(lease_seconds * 1000))
        if found is None:
            return None
        *kept, last = found
        if not kept[2]:
            return None
        request, context, record = (self._vault.open(response_id, each) for each in kept)
        return Claim(token, request, context, record, _next(last))

    async def renew(self, response_id: str, token: str, lease_seconds: float) -> bool:
        """False: it is not ours any more (cancelled, deleted, or another's)."""
        return bool(await self._script(_RENEW, response_id, token, int(lease_seconds * 1000)))

    async def log(self, response_id: str, token: str, events: Sequence[LoggedEvent], *, has_spoken: bool) -> bool:
        """Appends to the run's log; False as for `renew`."""
        spread = [argument for event in events for argument in self._entry(response_id, event)]
        head = (token, self._log_seconds, self._log_max_bytes, "1" if has_spoken else "0")
        return bool(await self._script(_LOG, response_id, *head, *spread))

    async def log_first(self, response_id: str, events: Sequence[LoggedEvent]) -> None:
        """What the log of a run begins with that nobody has claimed yet."""
        key = self._keys(response_id)[2]
        entries = [self._entry(response_id, event) for event in events]
        adding = [self._pool.execute("XADD", key, entry, "t", kind, "d", data) for entry, kind, data in entries]
        for reply in [*adding, self._pool.execute("EXPIRE", key, self._log_seconds)]:
            await self._answer(reply)

    async def update(self, response_id: str, token: str, record: bytes) -> bool:
        """The record as far as it has come; False as for `renew`."""
        return bool(await self._script(_UPDATE, response_id, token, self._vault.lock(response_id, record)))

    async def write_ahead(self, response_id: str, token: str, outcome: bytes) -> bool:
        """How it ended, before anything else is told of it; False as for `renew`."""
        return bool(await self._script(_WRITE_AHEAD, response_id, token, self._vault.lock(response_id, outcome)))

    async def close(
        self,
        response_id: str,
        token: str,
        record: bytes,
        event: LoggedEvent | None,
        *,
        expected_next: int | None = None,
    ) -> bool | None:
        """Ends a run: record and last event at once. `token` `*` ends anybody's.

        False: it had ended already, or is another's. None: the log has grown past `expected_next`; look again.
        """
        expected = "*" if expected_next is None else f"{expected_next}-0"
        last = self._entry(response_id, event) if event is not None else ()
        kept = self._vault.lock(response_id, record)
        closed = await self._script(_CLOSE, response_id, token, expected, self._log_seconds, kept, *last)
        return None if closed == -1 else bool(closed)

    async def look(self, response_id: str) -> RunView | None:
        """None where there is no run of this id."""
        found = await self._script(_LOOK, response_id)
        if found is None:
            return None
        state, token, attempts, spoken, *kept, last = found
        outcome, context = (self._vault.open(response_id, each) for each in kept)
        return RunView(
            RunState(state.decode()), token.decode(), int(attempts), bool(spoken), outcome, context, _next(last)
        )

    async def requeue(self, response_id: str, token: str, record: bytes) -> bool:
        """Makes a lost run wait for another worker; False where somebody was faster."""
        return bool(await self._script(_REQUEUE, response_id, token, self._vault.lock(response_id, record)))

    async def read_log(self, response_id: str, after: int, count: int) -> tuple[list[LoggedEvent], bool]:
        """Up to `count` events behind number `after`, and whether the run may still say more."""
        _, run, events = self._keys(response_id)
        # The state is read first: what is written between the two is read, and nothing comes after "finished".
        state = self._pool.execute("HGET", run, "state")
        entries = self._pool.execute("XRANGE", events, f"{after + 2}-0", "+", "COUNT", count)
        is_open = await self._answer(state) in (b"queued", b"running")
        found = await self._answer(entries)
        opened = [(_next(entry) - 1, each[1], self._vault.open(response_id, each[3])) for entry, each in found]
        return opened, is_open

    # -- the runs that are not over ------------------------------------------------------------------------------

    async def watch(self, response_id: str, due: float) -> None:
        """To be looked after at `due`, Unix seconds."""
        await self._answer(self._pool.execute("ZADD", background_key(self._pool.key_prefix), due, response_id))

    async def due(self, now: float, count: int) -> list[str]:
        """Runs whose time has come, the longest waiting first."""
        key = background_key(self._pool.key_prefix)
        found = await self._answer(self._pool.execute("ZRANGEBYSCORE", key, "-inf", now, "LIMIT", 0, count))
        return [each.decode() for each in found]

    async def forget(self, response_id: str) -> None:
        """Nothing is left to do for it."""
        await self._answer(self._pool.execute("ZREM", background_key(self._pool.key_prefix), response_id))

    def _entry(self, response_id: str, event: LoggedEvent) -> tuple[str, bytes, bytes]:
        number, kind, data = event
        return f"{number + 1}-0", kind, self._vault.lock(response_id, data)

    def _keys(self, response_id: str) -> list[str]:
        key = response_key(self._pool.key_prefix, response_id)
        return [key, companion_key(key, "run"), companion_key(key, "events")]

    async def _script(self, script: Script, response_id: str, *arguments: Argument) -> Any:
        return await self._answer(self._pool.run(script, self._keys(response_id), *arguments))

    async def _answer(self, reply: Awaitable[T]) -> T:
        try:
            return await reply
        except CONNECTION_ERRORS as error:
            metrics.STORE_ERRORS.labels("background").inc()
            raise StoreUnavailable(f"redis: {type(error).__name__}") from error


def _next(entry_id: bytes) -> int:
    """The id of a log's last entry → the number of the event that comes next."""
    return int(entry_id.partition(b"-")[0])
