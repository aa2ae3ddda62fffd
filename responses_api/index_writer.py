"""Hands index entries to Redis, in the pipeline that is being sent anyway. Never waited for, never an error."""

from __future__ import annotations

import asyncio
from typing import Any

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
        reply = self._pool.execute_soon("XADD", key, "MAXLEN", "~", self._max_backlog, "*", STREAM_FIELD, encode(entry))
        reply.add_done_callback(_count_lost)


def _count_lost(reply: asyncio.Future[Any]) -> None:
    if reply.cancelled() or reply.exception() is not None:
        metrics.INDEX_DROPPED.inc()
