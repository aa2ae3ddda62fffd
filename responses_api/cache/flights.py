"""Who asks the backend a question that several have asked: one leader a question, by a lease in Redis.

A flight is a hash with the leader's token, its state, and at last the answer, which stays there until it is filed; its
key lives as long as the lease, or as the answer may wait. Whatever a leader writes is written by a script that looks
at the token first. Scripts may be sent twice and then change nothing the second time. Each method raises what Redis
raises.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any, NamedTuple

from responses_api.cache.layout import flight_key, flight_keys, log_key
from responses_api.redis.link import Waiter
from responses_api.redis.pool import RedisPool
from responses_api.redis.scripts import Script
from responses_api.vault import Vault

LEASE_MS = 5000
UNFILED_MS = 180_000
"""How long an answer waits to be filed: longer than a killed worker's task takes to come back."""
FAILED_MS = 2000
LOG_MS = 120_000

# KEYS: entry, flight, log. ARGV: token, lease, look at the entry?, generation
_LOOK = Script("""
if redis.call('GETRANGE', KEYS[1], 0, 0) == '\\0' then return {'banned'} end
local f = redis.call('HMGET', KEYS[2], 'state', 'token', 'answer', 'generation')
if ARGV[3] == '1' then
  if f[1] == 'done' then return {'answer', f[3]} end
  local entry = redis.call('GET', KEYS[1])
  if entry then return {'answer', entry} end
end
-- One that began before a purge is not for those who come after it.
if f[1] == 'flying' and f[2] ~= ARGV[1] and f[4] == ARGV[4] then
  redis.call('HSET', KEYS[2], 'followed', 1)
  return {'flying', f[2]}
end
if ARGV[1] == '' then return {'none'} end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[2], 'state', 'flying', 'token', ARGV[1], 'generation', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {'lead'}
""")
_OURS = "if redis.call('HGET', KEYS[2], 'token') ~= ARGV[1] then return 0 end\n"
_RENEW = Script(f"""{_OURS}
if redis.call('HGET', KEYS[2], 'state') == 'flying' then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return redis.call('HGET', KEYS[2], 'followed') and 2 or 1
""")
_LAND = Script(f"""{_OURS}
redis.call('HSET', KEYS[2], 'state', 'done', 'answer', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 1
""")
_FAIL = Script(f"""{_OURS}
redis.call('HSET', KEYS[2], 'state', 'failed')
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
""")
_ABANDON = Script(f"{_OURS}\nreturn redis.call('DEL', KEYS[2])")
# ARGV: token, log's life, number of the piece, the piece.
_TELL = Script(f"""{_OURS}
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
if last[1] and tonumber(string.match(last[1][1], '%d+')) >= tonumber(ARGV[3]) then return 1 end
redis.call('XADD', KEYS[3], ARGV[3] .. '-0', 'f', ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1
""")


class Sight(Enum):
    """What there is to a question: an answer, somebody who is asking, or ourselves to ask; of a flight, its end.

    `BANNED`: an operator said that its answers are not to be given again.
    """

    ANSWER = "answer"
    FLYING = "flying"
    FAILED = "failed"
    LEAD = "lead"
    NONE = "none"
    BANNED = "banned"


_SIGHTS = {each.value.encode(): each for each in Sight}


class Seen(NamedTuple):
    """`value` is an entry's bytes with `ANSWER`, the leader's token with `FLYING`."""

    sight: Sight
    value: bytes = b""


def seen_in(reply: list[bytes]) -> Seen:
    """The reply to a look."""
    return Seen(_SIGHTS[reply[0]], reply[1] if len(reply) > 1 else b"")


class Flights:
    """One per event loop."""

    def __init__(self, pool: RedisPool, prefix: str, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault
        self._prefix = prefix

    def look(self, digest: str, token: str, generation: int, *, at_entry: bool = True) -> asyncio.Future[Any]:
        """What there is (`seen_in` reads it); where there is nothing, `token` leads from now on, unless it is empty."""
        return self._script(_LOOK, digest, token, LEASE_MS, "1" if at_entry else "0", generation)

    async def renew(self, digest: str, token: str) -> int:
        """0: the flight is another's by now; 1: nobody else is interested; 2: somebody is."""
        return int(await self._script(_RENEW, digest, token, LEASE_MS))

    def land(self, digest: str, token: str, answer: bytes, waiter: Waiter) -> None:
        """Makes the answer known, in this turn's pipeline.

        `waiter` is told 0 where the flight is another's, or was purged.
        """
        self._pool.run_for(waiter, _LAND, flight_keys(self._prefix, digest), token, answer, UNFILED_MS)

    def fail(self, digest: str, token: str) -> asyncio.Future[Any]:
        """Whoever follows asks on its own account."""
        return self._script(_FAIL, digest, token, FAILED_MS)

    def abandon(self, digest: str, token: str) -> asyncio.Future[Any]:
        """As if nobody had asked. Works also where Redis has no room for anything."""
        return self._script(_ABANDON, digest, token)

    def tell(self, digest: str, token: str, number: int, piece: bytes) -> asyncio.Future[Any]:
        """The next piece of a stream, numbered from 1."""
        return self._script(_TELL, digest, token, LOG_MS, number, self._vault.lock(digest, piece))

    async def told(self, digest: str, token: str, after: int) -> tuple[Sight, list[tuple[int, bytes]], bytes]:
        """How the flight of this token stands, the numbered pieces behind `after`, and its answer if it has one."""
        state = self._pool.execute("HMGET", flight_key(self._prefix, digest), "state", "token", "answer")
        pieces = self._pool.execute("XRANGE", log_key(self._prefix, digest), f"{after + 1}-0", "+")
        kind, owner, answer = await state
        told = [
            (int(number.partition(b"-")[0]), self._vault.open(digest, fields[1])) for number, fields in await pieces
        ]
        if owner != token.encode():
            return Sight.NONE, told, b""
        return {b"flying": Sight.FLYING, b"done": Sight.ANSWER}.get(kind, Sight.FAILED), told, answer or b""

    def forget(self, digest: str) -> asyncio.Future[Any]:
        """Removes the entry, and the answer that waits to be filed."""
        return self._pool.execute("DEL", *flight_keys(self._prefix, digest))

    def _script(self, script: Script, digest: str, *arguments: Any) -> asyncio.Future[Any]:
        return self._pool.run(script, flight_keys(self._prefix, digest), *arguments)
