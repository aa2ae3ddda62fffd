"""A worker of background runs in a thread of its own: the same runtime as a Celery worker's, without a broker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from responses_api.background.shapes import Ended, Nudge
from responses_api.background.worker import NoPlace, Recovered
from responses_api.config.schema import RouterConfig
from responses_api.runtime import Runtime

T = TypeVar("T")


class Worker:
    """Takes runs by `enqueue` until `stop` (which lets them end) or `die` (which does not: as after a kill -9)."""

    def __init__(self, config: RouterConfig) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="worker", daemon=True)
        self._thread.start()
        self.taken: list[str] = []
        self.ended: list[Ended] = []
        self._running: list[Future[None]] = []

        async def build() -> Runtime:
            return Runtime(config)

        self.runtime = asyncio.run_coroutine_threadsafe(build(), self._loop).result()

    def enqueue(self, nudges: Sequence[Nudge]) -> None:
        for response_id, _ in nudges:
            self.taken.append(response_id)
            self._running.append(asyncio.run_coroutine_threadsafe(self._execute(response_id), self._loop))

    def call(self, operation: Callable[[Runtime], Awaitable[T]]) -> T:
        async def run() -> T:
            return await operation(self.runtime)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    def recover(self, later_seconds: float = 0) -> Recovered:
        """As the beat does, `later_seconds` from now; what it finds is enqueued here."""
        found = self.call(lambda runtime: runtime.background_worker.recover(time.time() + later_seconds))
        self.enqueue(found.nudges)
        return found

    def die(self) -> None:
        """Nothing of it runs any more, and nothing is tidied up."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def resume(self) -> None:
        """It had only been asleep."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Runs under way may end, unless it died."""
        if self._thread.is_alive():
            for running in self._running:
                running.result(30)
        else:
            self.resume()
        self.call(self._tidy_up)
        self.die()
        self._loop.close()

    async def _tidy_up(self, runtime: Runtime) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runtime.aclose()

    async def _execute(self, response_id: str) -> None:
        while True:
            try:
                ended = await self.runtime.background_worker.execute(response_id)
                break
            except NoPlace:
                await asyncio.sleep(0.05)
        if ended is not None:
            self.ended.append(ended)
            await self.runtime.background_worker.forget(response_id)
