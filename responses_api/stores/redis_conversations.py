"""Conversations in Redis: `sr:conversation:conv_…` as JSON; beside it its items, their order, and the writer's lock.

Each change is one script on one slot, so that a reader never sees half of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from itertools import chain
from typing import Any, TypeVar

from responses_api import metrics
from responses_api.errors import StoreUnavailable
from responses_api.redis.link import Argument
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool
from responses_api.redis.scripts import Script
from responses_api.stores.base import Items, Outcome
from responses_api.stores.layout import companion_key, conversation_key

T = TypeVar("T")

# KEYS in all of them: conversation, items (hash), order (sorted set), lock.
_ADD_ITEMS = """
local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local place = last[2] and tonumber(last[2]) + 1 or 0
for i = 2, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('ZADD', KEYS[3], place, ARGV[i])
    place = place + 1
  end
end
"""
_CREATE = Script(f"redis.call('SET', KEYS[1], ARGV[1])\n{_ADD_ITEMS}\nreturn 1")
# The conversation is the first key: without it the others are out of reach.
_DELETE = Script("local was = redis.call('DEL', KEYS[1])\nredis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])\nreturn was")
_APPEND = Script(f"""
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local holder = redis.call('GET', KEYS[4])
if holder and holder ~= ARGV[1] then return -2 end
{_ADD_ITEMS}
redis.call('DEL', KEYS[4])
return 1
""")
_LOCK = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local holder = redis.call('GET', KEYS[4])
if holder and holder ~= ARGV[1] then return -2 end
redis.call('SET', KEYS[4], ARGV[1], 'PX', ARGV[2])
return 1
""")
_UNLOCK = Script("if redis.call('GET', KEYS[4]) == ARGV[1] then redis.call('DEL', KEYS[4]) end")
_READ = """
local function read(ids)
  local found = {}
  for first = 1, #ids, 5000 do
    local some = redis.call('HMGET', KEYS[2], unpack(ids, first, math.min(first + 4999, #ids)))
    for i = 1, #some do found[#found + 1] = some[i] end
  end
  return found
end
"""
_ITEMS = Script(f"{_READ}\nreturn read(redis.call('ZRANGE', KEYS[3], 0, -1))")
_PAGE = Script(f"""
{_READ}
local rank, range = 'ZREVRANK', 'ZREVRANGE'
if ARGV[3] == '1' then rank, range = 'ZRANK', 'ZRANGE' end
local start = 0
if ARGV[1] ~= '' then
  local found = redis.call(rank, KEYS[3], ARGV[1])
  if not found then return false end
  start = found + 1
end
return read(redis.call(range, KEYS[3], start, start + ARGV[2] - 1))
""")
_REMOVE = Script("redis.call('ZREM', KEYS[3], ARGV[1])\nreturn redis.call('HDEL', KEYS[2], ARGV[1])")

_OUTCOMES = {1: Outcome.DONE, -1: Outcome.MISSING, -2: Outcome.LOCKED}


class RedisConversations:
    """A `ConversationStore`. Its keys have no TTL, but for the lock."""

    def __init__(self, pool: RedisPool) -> None:
        self._pool = pool

    async def create(self, conversation_id: str, value: bytes, items: Items) -> None:
        await self._script("create", _CREATE, conversation_id, value, *_flat(items))

    async def get(self, conversation_id: str) -> bytes | None:
        return await self._answer("get", self._pool.execute("GET", self._keys(conversation_id)[0]))

    async def replace(self, conversation_id: str, value: bytes) -> bool:
        key = self._keys(conversation_id)[0]
        return bool(await self._answer("replace", self._pool.execute("SET", key, value, "XX")))

    async def delete(self, conversation_id: str) -> bool:
        return bool(await self._script("delete", _DELETE, conversation_id))

    async def items(self, conversation_id: str) -> list[bytes]:
        found: list[bytes] = await self._script("items", _ITEMS, conversation_id)
        return found

    async def count(self, conversation_id: str) -> int:
        return int(await self._answer("count", self._pool.execute("ZCARD", self._keys(conversation_id)[2])))

    async def page(self, conversation_id: str, after: str | None, limit: int, *, ascending: bool) -> list[bytes] | None:
        arguments = (after or "", limit, "1" if ascending else "0")
        page: list[bytes] | None = await self._script("page", _PAGE, conversation_id, *arguments)
        return page

    async def item(self, conversation_id: str, item_id: str) -> bytes | None:
        return await self._answer("item", self._pool.execute("HGET", self._keys(conversation_id)[1], item_id))

    async def append(self, conversation_id: str, items: Items, holder: str) -> Outcome:
        return _OUTCOMES[await self._script("append", _APPEND, conversation_id, holder, *_flat(items))]

    async def remove_item(self, conversation_id: str, item_id: str) -> bool:
        return bool(await self._script("remove_item", _REMOVE, conversation_id, item_id))

    async def lock(self, conversation_id: str, holder: str, seconds: float) -> Outcome:
        return _OUTCOMES[await self._script("lock", _LOCK, conversation_id, holder, int(seconds * 1000))]

    async def unlock(self, conversation_id: str, holder: str) -> None:
        await self._script("unlock", _UNLOCK, conversation_id, holder)

    def _keys(self, conversation_id: str) -> list[str]:
        key = conversation_key(self._pool.key_prefix, conversation_id)
        return [key, *(companion_key(key, name) for name in ("items", "order", "lock"))]

    async def _script(self, operation: str, script: Script, conversation_id: str, *arguments: Argument) -> Any:
        return await self._answer(operation, self._pool.run(script, self._keys(conversation_id), *arguments))

    async def _answer(self, operation: str, reply: Awaitable[T]) -> T:
        try:
            return await reply
        except CONNECTION_ERRORS as error:
            metrics.STORE_ERRORS.labels(f"conversation_{operation}").inc()
            raise StoreUnavailable(f"redis: {type(error).__name__}") from error


def _flat(items: Items) -> Sequence[Argument]:
    return list(chain.from_iterable(items))
