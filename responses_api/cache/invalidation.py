"""Purging: one entry, a namespace, tags, a model, or all of a project's.

What is purged is out of use everywhere when the call returns (`Epochs`); its bytes are removed afterwards, as far as
the project's books list them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from responses_api.cache import entry as entries
from responses_api.cache.entry import ALL, Entry, EntryCodec
from responses_api.cache.epochs import purge
from responses_api.cache.flights import Flights
from responses_api.cache.layout import banned_key, books, bytes_key, entry_key, flight_key, used_key
from responses_api.redis.pool import RedisPool
from responses_api.redis.scripts import Script

BATCH = 200
# KEYS: books. ARGV: digests to strike out.
STRIKE = Script("""
for _, digest in ipairs(ARGV) do
  local size = redis.call('ZSCORE', KEYS[1], digest)
  if size then
    redis.call('DECRBY', KEYS[5], size)
    for i = 1, 4 do redis.call('ZREM', KEYS[i], digest) end
  end
end
return 1
""")


@dataclass(frozen=True, slots=True)
class Purged:
    """How many entries there were, and their bytes in Redis."""

    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Target:
    """What is to go: `epochs` are raised, `matches` says which entries that concerns."""

    epochs: tuple[str, ...]
    matches: Callable[[Entry], bool]

    @classmethod
    def everything(cls) -> Target:
        return cls((ALL,), lambda entry: True)

    @classmethod
    def namespace(cls, name: str) -> Target:
        return cls((f"namespace:{name}",), lambda entry: entry.namespace == name)

    @classmethod
    def model(cls, name: str) -> Target:
        return cls((f"model:{name}",), lambda entry: entry.model == name)

    @classmethod
    def tags(cls, names: tuple[str, ...]) -> Target:
        return cls(tuple(f"tag:{name}" for name in names), lambda entry: not set(names).isdisjoint(entry.tags))


class Invalidation:
    """One per event loop. Each method raises what Redis raises."""

    def __init__(self, pool: RedisPool, prefix: str, flights: Flights, codec: EntryCodec) -> None:
        self._codec = codec
        self._pool = pool
        self._prefix = prefix
        self._flights = flights

    async def purge(self, project: str, target: Target, *, dry_run: bool = False) -> Purged:
        """With `dry_run` nothing goes; the figures are the same."""
        if not dry_run:
            await purge(self._pool, self._prefix, project, target.epochs)
        number = size = 0
        async for found in self._listed(project):
            matching = [(digest, length) for digest, length, entry in found if entry and target.matches(entry)]
            number += len(matching)
            size += sum(length for _, length in matching)
            if matching and not dry_run:
                await self._remove(project, [digest for digest, _ in matching])
        return Purged(number, size)

    async def remove(self, project: str, digest: str) -> bool:
        """One entry, filed or not; False where the project has no such entry."""
        entry = await self.read(digest)
        if entry is None or entry.project != project:
            return False
        await self._remove(project, [digest])
        # Other processes may have it in memory.
        await purge(self._pool, self._prefix, project, ())
        return True

    async def ban(self, project: str, digest: str, note: bytes) -> None:
        """The answer to this question goes, and no other is kept; `note` says who wanted that, when and why."""
        await self._remove(project, [digest])
        await self._pool.execute("SET", entry_key(self._prefix, digest), entries.BANNED)
        await self._pool.execute("HSET", banned_key(self._prefix, project), digest, note)
        await purge(self._pool, self._prefix, project, ())

    async def unban(self, project: str, digest: str) -> bool:
        """Its answers may be kept again; False where that was so."""
        if not await self._pool.execute("HDEL", banned_key(self._prefix, project), digest):
            return False
        await self._flights.forget(digest)
        return True

    async def read(self, digest: str) -> Entry | None:
        """The entry as the next request would find it."""
        filed = self._pool.execute("GET", entry_key(self._prefix, digest))
        waiting = self._pool.execute("HGET", flight_key(self._prefix, digest), "answer")
        return self._codec.decode(await waiting or await filed or b"")

    async def recent(self, project: str, count: int) -> list[Entry]:
        """The entries that were used last."""
        digests = await self._pool.execute("ZREVRANGE", used_key(self._prefix, project), 0, count - 1)
        values = await self._pool.get_many([entry_key(self._prefix, each.decode()) for each in digests])
        return [entry for value in values if value and (entry := self._codec.decode(value)) is not None]

    async def _listed(self, project: str) -> AsyncIterator[list[tuple[str, int, Entry | None]]]:
        """All entries in the project's books, in batches."""
        key, cursor = bytes_key(self._prefix, project), b"0"
        while True:
            cursor, pairs = await self._pool.execute("ZSCAN", key, cursor, "COUNT", BATCH)
            sizes = {name.decode(): int(size) for name, size in zip(pairs[::2], pairs[1::2], strict=True)}
            values = await self._pool.get_many([entry_key(self._prefix, digest) for digest in sizes])
            yield [
                (digest, size, self._codec.decode(value) if value else None)
                for (digest, size), value in zip(sizes.items(), values, strict=True)
            ]
            if int(cursor) == 0:
                return

    async def _remove(self, project: str, digests: list[str]) -> None:
        for digest in digests:
            await self._flights.forget(digest)
        await self._pool.run(STRIKE, books(self._prefix, project), *digests)
