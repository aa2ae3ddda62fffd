"""Answers that wait to be filed: handed to the workers in batches, from a thread. Never waited for, never an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from responses_api import metrics

log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.25
MAX_WAITING = 10_000
BATCH_SIZE = 500

Filing = tuple[str, str]
"""Project and digest: the answer itself is in Redis already."""
File = Callable[[Sequence[Filing]], None]
"""Has a worker file them; blocks, and may raise anything."""


class FilingQueue:
    """One per event loop; without `file` there are no workers, and answers live as long as they may wait."""

    def __init__(self, file: File | None) -> None:
        self._file = file
        self._waiting: list[Filing] = []
        self._publishing: asyncio.Task[None] | None = None

    def add(self, filing: Filing) -> None:
        if self._file is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            metrics.CACHE_WRITES.labels("queue full").inc()
            return
        self._waiting.append(filing)
        if self._publishing is None:
            self._publishing = asyncio.ensure_future(self._publish(self._file))

    async def aclose(self) -> None:
        if self._publishing is not None:
            await self._publishing

    async def _publish(self, file: File) -> None:
        try:
            while self._waiting:
                # Each time: a batch costs a millisecond, whether it is of five answers or of five hundred.
                await asyncio.sleep(GATHER_SECONDS)
                waiting, self._waiting = self._waiting, []
                for start in range(0, len(waiting), BATCH_SIZE):
                    await self._hand_over(file, waiting[start : start + BATCH_SIZE])
        finally:
            self._publishing = None

    async def _hand_over(self, file: File, batch: Sequence[Filing]) -> None:
        try:
            await asyncio.to_thread(file, batch)
        except Exception as error:  # noqa: BLE001 - the answers were given; only their repeats cost more
            metrics.CACHE_WRITES.labels("not queued").inc(len(batch))
            log.warning("cache_entries_not_queued", entries=len(batch), reason=str(error) or repr(error))
