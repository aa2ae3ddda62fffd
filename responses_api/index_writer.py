"""Hands index entries to Redis, in the pipeline that is being sent anyway. Never waited for, never an error."""

from __future__ import annotations

from responses_api import metrics
from responses_api.index_entry import STREAM_FIELD, IndexEntry, encode, stream_key
from responses_api.redis.pool import RedisPool


class IndexWriter:
    """Without a pool (a memory store and no Redis) there is no index."""

    def __init__(self, pool: RedisPool | None, max_backlog: int) -> None:
        self._pool = pool
        self._max_backlog = max_backlog

    def add(self, entry: IndexEntry) -> None:
        """Past `max_backlog` waiting entries the oldest go: a dead worker must not fill Redis."""
        if self._pool is None:
            return
        key = stream_key(self._pool.key_prefix)
        command = ("XADD", key, "MAXLEN", "~", self._max_backlog, "*", STREAM_FIELD, encode(entry))
        self._pool.tell(_count_lost, *command)


def _count_lost(_: BaseException) -> None:
    metrics.INDEX_DROPPED.inc()
