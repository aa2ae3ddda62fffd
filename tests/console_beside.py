"""The console in the test's own process, beside a gateway: it reads the same configuration, and asks that runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from django.core.cache import caches

from responses_api import configured, redis_connection, runtime_loop
from responses_api.config.load import Loaded
from responses_api.config.schema import RouterConfig
from tests.gateway import Gateway


@contextmanager
def console_beside(gateway: Gateway, config: RouterConfig) -> Iterator[None]:
    async def adopt() -> None:
        runtime_loop.adopt(gateway.runtime)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(configured, "loaded", lambda: Loaded(config, ()))
        _forget_clients()
        asyncio.run_coroutine_threadsafe(adopt(), gateway.loop).result(5)
        yield
        runtime_loop.adopt(None)
        redis_connection._shared_client().close()
        _forget_clients()


def _forget_clients() -> None:
    """django-redis keeps the one it was given first."""
    redis_connection._shared_client.cache_clear()
    with suppress(AttributeError):  # it has none yet
        del caches["default"]
