"""The newest requests for the console's live tail: a short Redis stream, written only while somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from responses_api import metrics
from responses_api.index_entry import STREAM_FIELD, IndexEntry, decode, encode

MAX_ENTRIES = 2000
WATCHED_SECONDS = 10
"""After which a viewer that says nothing has left."""
KEPT_SECONDS = 60


def tail_key(prefix: str) -> str:
    """`sr:tail`: a stream of index entries."""
    return f"{prefix}tail"


def watched_key(prefix: str) -> str:
    """`sr:tail:watched`: there while somebody looks."""
    return f"{prefix}tail:watched"


def show(client: Any, prefix: str, entries: Sequence[IndexEntry]) -> None:
    """Entries that are in the index now, for whoever is looking. `client` is a sync redis client; never fails."""
    try:
        if not client.exists(watched_key(prefix)):
            return
        pipeline = client.pipeline(transaction=False)
        for entry in entries:
            pipeline.xadd(tail_key(prefix), {STREAM_FIELD: encode(entry)}, maxlen=MAX_ENTRIES, approximate=True)
        pipeline.expire(tail_key(prefix), KEPT_SECONDS)
        pipeline.execute()
    except RedisError:
        metrics.TAIL_LOST.inc()


def newest_id(client: Any, prefix: str) -> str:
    """Where a viewer that comes now begins; says that somebody is looking."""
    client.set(watched_key(prefix), 1, ex=WATCHED_SECONDS)
    newest = client.xrevrange(tail_key(prefix), count=1)
    return newest[0][0].decode() if newest else "0-0"


def read(client: Any, prefix: str, after: str, count: int) -> list[tuple[str, IndexEntry]]:
    """Up to `count` entries behind the id `after`, with their ids; says that somebody is looking.

    Raises what Redis raises, and `redis.ResponseError` for an `after` that is no id.
    """
    client.set(watched_key(prefix), 1, ex=WATCHED_SECONDS)
    found = client.xrange(tail_key(prefix), f"({after}", "+", count=count)
    return [(entry_id.decode(), decode(fields[STREAM_FIELD.encode()])) for entry_id, fields in found]
