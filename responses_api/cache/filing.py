"""What workers do for the cache: answers that wait in Redis → entries, within each project's bounds. Sync.

Idempotent: killed in between, a second run writes the same again. An entry is there whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from responses_api import metrics
from responses_api.cache.entry import EntryCodec
from responses_api.cache.filing_queue import Filing
from responses_api.cache.invalidation import STRIKE
from responses_api.cache.layout import (
    books,
    bytes_key,
    deadlines_key,
    entry_key,
    epochs_key,
    flight_key,
    prefix_of,
    projects_key,
    used_key,
)
from responses_api.config.schema import RouterConfig
from responses_api.vault import vault_of

LINGER_MS = 3000
"""How long a filed answer stays where followers look for it."""
SWEEP_BATCH = 1000
BATCH = 50
"""Entries at once; each may have a megabyte, before it is compressed."""

# KEYS: books. ARGV: now, most bytes; then of each entry digest, bytes, deadline. Gives the digests that had to go.
_BOOK = """
local added = 0
for i = 3, #ARGV, 3 do
  local digest, size = ARGV[i], tonumber(ARGV[i + 1])
  added = added + size - tonumber(redis.call('ZSCORE', KEYS[1], digest) or 0)
  redis.call('ZADD', KEYS[1], size, digest)
  redis.call('ZADD', KEYS[2], ARGV[1], digest)
  redis.call('ZADD', KEYS[3], ARGV[i + 2], digest)
  redis.call('ZADD', KEYS[4], 'NX', 0, digest)
end
local total = redis.call('INCRBY', KEYS[5], added)
local gone = {}
while total > tonumber(ARGV[2]) do
  local oldest = redis.call('ZPOPMIN', KEYS[2])
  if not oldest[1] then break end
  local size = tonumber(redis.call('ZSCORE', KEYS[1], oldest[1]) or 0)
  total = redis.call('DECRBY', KEYS[5], size)
  for _, book in ipairs({KEYS[1], KEYS[3], KEYS[4]}) do redis.call('ZREM', book, oldest[1]) end
  gone[#gone + 1] = oldest[1]
end
return gone
"""

# KEYS: entry. ARGV: its bytes, milliseconds. An operator's ban stays, whatever happens to entries.
_BANNED = "if redis.call('GETRANGE', KEYS[1], 0, 0) == '\\0' then return 0 end\n"
_FILE = f"{_BANNED} redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1"
_DELETE = f"{_BANNED} return redis.call('DEL', KEYS[1])"


class _Ready(Struct):
    """An entry to be filed; `deadline` in Unix seconds."""

    digest: str
    value: bytes
    deadline: float


def file_all(client: Any, config: RouterConfig, filings: Iterable[Filing]) -> int:
    """How many were filed. `client` is a sync redis client; raises what Redis raises."""
    by_project: dict[str, list[str]] = {}
    for project, digest in dict.fromkeys(filings):
        by_project.setdefault(project, []).append(digest)
    filed = 0
    for project, digests in by_project.items():
        its = _Filing(client, config, project)
        for start in range(0, len(digests), BATCH):
            filed += its.file(digests[start : start + BATCH])
    return filed


class _Filing:
    """Of one project's answers, a batch at a time: a round trip for each is what takes most of a worker's time."""

    def __init__(self, client: Any, config: RouterConfig, project: str) -> None:
        self._client = client
        self._config = config.response_cache
        self._prefix = prefix_of(config)
        self._codec = EntryCodec(vault_of(config.encryption_keys))
        self._project = project

    def file(self, digests: Sequence[str]) -> int:
        """How many of them."""
        ready = list(self._read(digests))
        if not ready:
            return 0
        # Booked first: killed in between, the books list an entry that is not there, and strike it out in time. The
        # other way round there would be one that no bound and no purge knows of.
        gone = self._book(ready)
        kept = [each for each in ready if each.digest not in gone]
        banned = self._write(kept, gone)
        strike(self._client, self._prefix, self._project, banned)
        self._delete_unlisted([each.digest for each in kept if each.digest not in banned])
        self._let_go([each.digest for each in ready if each.digest not in banned])
        metrics.CACHE_WRITES.labels("evicted").inc(len(gone))
        metrics.CACHE_WRITES.labels("filed").inc(len(kept) - len(banned))
        return len(kept) - len(banned)

    def _read(self, digests: Sequence[str]) -> Iterator[_Ready]:
        """What has landed and still holds."""
        pipeline = self._client.pipeline(transaction=False)
        for digest in digests:
            pipeline.hmget(flight_key(self._prefix, digest), "state", "answer")
        answers, now = pipeline.execute(), time.time()
        counters = self._client.hgetall(epochs_key(self._prefix, self._project))
        epochs = {name.decode(): int(value) for name, value in counters.items()}
        for state, answer in answers:
            entry = self._codec.decode(answer) if state == b"done" and answer else None
            if entry is None or entry.project != self._project:
                metrics.CACHE_WRITES.labels("gone").inc()
            elif not entry.survives(epochs):
                metrics.CACHE_WRITES.labels("purged meanwhile").inc()
            else:
                deadline = entry.created_at + entry.ttl + self._config.stale_seconds
                if deadline > now:
                    yield _Ready(entry.digest, self._codec.filed(answer), deadline)

    def _book(self, ready: Sequence[_Ready]) -> set[str]:
        """The digests that had to go for them, perhaps some of their own."""
        keys = books(self._prefix, self._project)
        listed = [part for each in ready for part in (each.digest, len(each.value), each.deadline)]
        self._client.sadd(projects_key(self._prefix), self._project)
        most_bytes = self._config.max_bytes_per_project
        return {
            digest.decode() for digest in self._client.eval(_BOOK, len(keys), *keys, time.time(), most_bytes, *listed)
        }

    def _write(self, kept: Sequence[_Ready], gone: Iterable[str]) -> set[str]:
        """The entries, but for those that an operator has banned: these."""
        now, pipeline = time.time(), self._client.pipeline(transaction=False)
        # By `execute_command`: a Cluster's pipeline has no `eval` of its own.
        for each in kept:
            lives_ms = max(1, int((each.deadline - now) * 1000))
            pipeline.execute_command("EVAL", _FILE, 1, entry_key(self._prefix, each.digest), each.value, lives_ms)
        for digest in gone:
            pipeline.execute_command("EVAL", _DELETE, 1, entry_key(self._prefix, digest))
        written = pipeline.execute()[: len(kept)]
        return {each.digest for each, is_written in zip(kept, written, strict=True) if not is_written}

    def _delete_unlisted(self, written: Sequence[str]) -> None:
        """What another worker has evicted since it was booked: its deletion came too early."""
        pipeline = self._client.pipeline(transaction=False)
        for digest in written:
            pipeline.zscore(bytes_key(self._prefix, self._project), digest)
        for digest, size in zip(written, pipeline.execute(), strict=True):
            if size is None:
                pipeline.execute_command("EVAL", _DELETE, 1, entry_key(self._prefix, digest))
        pipeline.execute()

    def _let_go(self, digests: Iterable[str]) -> None:
        """Where they waited they are found a little longer: those who follow look there."""
        pipeline = self._client.pipeline(transaction=False)
        for digest in digests:
            pipeline.pexpire(flight_key(self._prefix, digest), LINGER_MS)
        pipeline.execute()


def strike(client: Any, prefix: str, project: str, digests: Collection[str | bytes]) -> None:
    """Takes entries out of a project's books."""
    if digests:
        keys = books(prefix, project)
        client.eval(STRIKE.text, len(keys), *keys, *digests)


def sweep(client: Any, config: RouterConfig, now: float) -> int:
    """Strikes what Redis has forgotten by now; how many."""
    prefix, total = prefix_of(config), 0
    for project in [each.decode() for each in client.smembers(projects_key(prefix))]:
        key = deadlines_key(prefix, project)
        while forgotten := client.zrangebyscore(key, "-inf", now, start=0, num=SWEEP_BATCH):
            strike(client, prefix, project, forgotten)
            total += len(forgotten)
        if not client.exists(used_key(prefix, project)):
            client.srem(projects_key(prefix), project)
    return total
