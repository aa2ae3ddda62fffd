"""A worker process's event loop, in a thread of its own, with the one runtime that all its tasks share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar

import uvloop

from responses_api.configured import router_config
from responses_api.listed_backends import read_listed
from responses_api.runtime import Runtime

T = TypeVar("T")


class WorkerLoop:
    """Runs until the process ends."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="worker-loop", daemon=True).start()
        self._runtime = asyncio.run_coroutine_threadsafe(_build(), self._loop).result()

    def call(self, operation: Callable[[Runtime], Awaitable[T]]) -> T:
        """What `operation` gives, awaited on the loop while the calling thread waits. Raises what it raises."""

        async def run() -> T:
            return await operation(self._runtime)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


async def _build() -> Runtime:
    runtime = Runtime(router_config(), read_listed=read_listed)
    runtime.health.start()
    return runtime


_making = threading.Lock()


@cache
def _make() -> WorkerLoop:
    return WorkerLoop()


def worker_loop() -> WorkerLoop:
    """This process's, made when first asked for."""
    with _making:
        return _make()
