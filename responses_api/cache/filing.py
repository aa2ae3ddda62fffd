"""What workers do for the cache: answers that wait in Redis → entries, within each project's bounds. Sync.

Idempotent: killed in between, a second run writes the same again. An entry is there whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from responses_api import metrics
from responses_api.cache.entry import Entry, EntryCodec
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

# KEYS: books. ARGV: digest, bytes, now, deadline, most bytes. Gives the digests that had to go.
_BOOK = """
local old = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[4], 'NX', 0, ARGV[1])
local total = redis.call('INCRBY', KEYS[5], ARGV[2] - old)
local gone = {}
while total > tonumber(ARGV[5]) do
  local oldest = redis.call('ZPOPMIN', KEYS[2])
  if not oldest[1] then break end
  local size = tonumber(redis.call('ZSCORE', KEYS[1], oldest[1]) or 0)
  for _, book in ipairs({KEYS[1], KEYS[3], KEYS[4]}) do redis.call('ZREM', book, oldest[1]) end
  total = redis.call('DECRBY', KEYS[5], size)
  gone[#gone + 1] = oldest[1]
end
return gone
"""


# KEYS: entry. ARGV: its bytes, milliseconds. An operator's ban stays.
_FILE = """
if redis.call('GETRANGE', KEYS[1], 0, 0) == '\\0' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


def file_all(client: Any, config: RouterConfig, filings: Iterable[Filing]) -> int:
    """How many were filed. `client` is a sync redis client; raises what Redis raises."""
    prefix, filed, codec = prefix_of(config), 0, EntryCodec(vault_of(config.encryption_keys))
    epochs: dict[str, Mapping[str, int]] = {}
    for project, digest in filings:
        if project not in epochs:
            counters = client.hgetall(epochs_key(prefix, project))
            epochs[project] = {name.decode(): int(value) for name, value in counters.items()}
        state, answer = client.hmget(flight_key(prefix, digest), "state", "answer")
        entry = codec.decode(answer) if state == b"done" and answer else None
        if entry is None or entry.project != project:
            metrics.CACHE_WRITES.labels("gone").inc()
        elif not entry.survives(epochs[project]):
            metrics.CACHE_WRITES.labels("purged meanwhile").inc()
        else:
            _file(client, config, entry, codec.filed(answer))
            metrics.CACHE_WRITES.labels("filed").inc()
            filed += 1
    return filed


def _file(client: Any, config: RouterConfig, entry: Entry, value: bytes) -> None:
    prefix, now = prefix_of(config), time.time()
    deadline = entry.created_at + entry.ttl + config.response_cache.stale_seconds
    if deadline <= now:
        return
    keys = books(prefix, entry.project)
    bound = config.response_cache.max_bytes_per_project
    client.sadd(projects_key(prefix), entry.project)
    # Booked first: killed in between, the books list an entry that is not there, and strike it out in time. The other
    # way round there would be one that no bound and no purge knows of.
    gone = {
        digest.decode()
        for digest in client.eval(_BOOK, len(keys), *keys, entry.digest, len(value), now, deadline, bound)
    }
    for digest in gone:
        client.delete(entry_key(prefix, digest))
        metrics.CACHE_WRITES.labels("evicted").inc()
    lives_ms, key = int((deadline - now) * 1000), entry_key(prefix, entry.digest)
    if entry.digest not in gone:
        if not client.eval(_FILE, 1, key, value, lives_ms):
            strike(client, prefix, entry.project, [entry.digest])
            return
        if client.zscore(bytes_key(prefix, entry.project), entry.digest) is None:
            # Evicted by another worker since it was booked, whose deletion came too early.
            client.delete(key)
    client.pexpire(flight_key(prefix, entry.digest), LINGER_MS)


def strike(client: Any, prefix: str, project: str, digests: Iterable[str | bytes]) -> None:
    """Takes entries out of a project's books."""
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
