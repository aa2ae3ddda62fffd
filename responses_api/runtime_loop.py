"""This process's runtime, for threads: a web process's own, or in a worker one on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import uvloop

from responses_api.configured import router_config
from responses_api.listed_backends import read_listed
from responses_api.runtime import Runtime

T = TypeVar("T")


class RuntimeLoop:
    """A runtime and the event loop it lives on."""

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop) -> None:
        self._runtime = runtime
        self._loop = loop

    def call(self, operation: Callable[[Runtime], Awaitable[T]]) -> T:
        """What `operation` gives, awaited on the loop while the calling thread waits. Raises what it raises."""

        async def run() -> T:
            return await operation(self._runtime)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


def _begin() -> RuntimeLoop:
    """One that runs until the process ends."""
    loop = uvloop.new_event_loop()
    threading.Thread(target=loop.run_forever, name="runtime-loop", daemon=True).start()
    return RuntimeLoop(asyncio.run_coroutine_threadsafe(_build(), loop).result(), loop)


async def _build() -> Runtime:
    runtime = Runtime(router_config(), read_listed=read_listed)
    runtime.health.start()
    return runtime


_choosing = threading.Lock()
_ours: RuntimeLoop | None = None


def adopt(runtime: Runtime | None) -> None:
    """Called on the event loop that serves `runtime`: it is this process's from now on; None: no more."""
    global _ours
    with _choosing:
        _ours = None if runtime is None else RuntimeLoop(runtime, asyncio.get_running_loop())


def runtime_loop() -> RuntimeLoop:
    """This process's; where there is none, one is made."""
    global _ours
    with _choosing:
        if _ours is None:
            _ours = _begin()
        return _ours
