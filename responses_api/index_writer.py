"""Hands index entries to Redis, in the pipeline that is being sent anyway. Never waited for, never an error.

What Redis did not take is kept and handed over again, in order: a row may come late, and twice, which the drain knows
how to take; it is lost only where an outage outlasts `MAX_KEPT` entries, or the process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

from responses_api import metrics
from responses_api.index_entry import STREAM_FIELD, IndexEntry, encode, stream_key
from responses_api.redis.pool import RedisPool

MAX_KEPT = 10_000
"""About 6 MB."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0


class IndexWriter:
    """Without a pool (a memory store and no Redis) there is no index."""

    def __init__(self, pool: RedisPool | None, max_backlog: int) -> None:
        self._pool = pool
        self._max_backlog = max_backlog
        self._kept: deque[bytes] = deque(maxlen=MAX_KEPT)
        self._timer: asyncio.TimerHandle | None = None
        self._pause = FIRST_PAUSE_SECONDS

    def add(self, entry: IndexEntry) -> None:
        """Past `max_backlog` waiting entries the oldest go: a dead worker must not fill Redis."""
        if self._pool is None:
            return
        if self._kept:
            self._keep(encode(entry))
        else:
            self._pause = FIRST_PAUSE_SECONDS
            self._send(encode(entry))

    def _send(self, entry: bytes) -> None:
        assert self._pool is not None  # noqa: S101 - without one there is nothing to send
        key = stream_key(self._pool.key_prefix)
        command = ("XADD", key, "MAXLEN", "~", self._max_backlog, "*", STREAM_FIELD, entry)
        self._pool.tell(partial(self._failed, entry), *command)

    def _failed(self, entry: bytes, _: BaseException) -> None:
        self._keep(entry)

    def _keep(self, entry: bytes) -> None:
        if len(self._kept) == MAX_KEPT:
            metrics.INDEX_DROPPED.inc()
        self._kept.append(entry)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self.send_kept)
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def send_kept(self) -> None:
        """Now, and not only when the pause is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        kept, self._kept = self._kept, deque(maxlen=MAX_KEPT)
        for entry in kept:
            self._send(entry)
