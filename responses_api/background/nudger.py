"""Tells the workers of runs that wait."""

from __future__ import annotations

import asyncio

import structlog

from responses_api import metrics
from responses_api.background.shapes import Enqueue, Nudge

log = structlog.get_logger(__name__)


class Nudger:
    """Has runs enqueued from a thread: publishing blocks for up to milliseconds. Gathers what comes meanwhile."""

    def __init__(self, enqueue: Enqueue) -> None:
        self._enqueue = enqueue
        self._waiting: list[Nudge] = []
        self._publishing: asyncio.Task[None] | None = None

    def add(self, nudge: Nudge) -> None:
        self._waiting.append(nudge)
        if self._publishing is None:
            self._publishing = asyncio.ensure_future(self._publish())

    async def _publish(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await asyncio.to_thread(self._enqueue, batch)
        except Exception as error:  # noqa: BLE001 - whoever looks after runs nudges again
            metrics.NUDGES_LOST.inc()
            log.warning("background_run_not_enqueued", reason=str(error) or type(error).__name__)
        finally:
            self._publishing = None
