"""Builds the parts from the configuration and joins them; one per event loop, `aclose` at its end."""

from __future__ import annotations

from contextlib import suppress

from responses_api.backends.catalog import ModelCatalog
from responses_api.backends.client import BackendClient
from responses_api.backends.registry import Registry
from responses_api.config.schema import RouterConfig
from responses_api.engine import Engine
from responses_api.index_writer import IndexWriter
from responses_api.redis_pool import CONNECTION_ERRORS, RedisPool
from responses_api.stored_responses import StoredResponses
from responses_api.stores.base import Store
from responses_api.stores.memory import MemoryStore
from responses_api.stores.redis import RedisStore


class Runtime:
    """Everything a request needs. Build it on the loop that uses it."""

    def __init__(self, config: RouterConfig) -> None:
        api = config.response_api
        self.config = config
        self.pool = _pool(config)
        self.store: Store = MemoryStore(api.max_responses)
        if api.store_backend == "redis" and self.pool is not None:
            self.store = RedisStore(self.pool)
        self.registry = Registry(config)
        self.catalog = ModelCatalog(self.registry)
        self.client = BackendClient()
        self.index = IndexWriter(self.pool, config.index.max_backlog)
        self.stored = StoredResponses(
            self.store,
            api.ttl_seconds,
            self.index,
            include_instructions=api.input_items_include_instructions,
        )
        self.engine = Engine(config, self.store, self.stored, self.registry, self.client, self.index)

    async def warm_up(self) -> None:
        """Opens connections ahead of the first request. Redis may be away: requests will say so."""
        if self.pool is not None:
            with suppress(*CONNECTION_ERRORS):
                await self.pool.warm_up()

    async def aclose(self) -> None:
        await self.catalog.aclose()
        await self.client.aclose()
        if self.pool is not None:
            await self.pool.aclose()


def _pool(config: RouterConfig) -> RedisPool | None:
    """With a memory store Redis serves the index alone, where an address for it is known."""
    redis = config.response_api.redis
    if config.response_api.store_backend == "redis" or redis.address or redis.cluster_addresses:
        return RedisPool(redis)
    return None
