"""Responses in Redis. A Cluster is a different client below `RedisPool`, not a different store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from responses_api import metrics
from responses_api.errors import StoreUnavailable
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool
from responses_api.stores.layout import companion_key, response_key

T = TypeVar("T")


class RedisStore:
    """Each response is one key with a real TTL. Shared by all processes; lives as long as Redis keeps it."""

    name = "redis"
    survives_restart = True

    def __init__(self, pool: RedisPool) -> None:
        self._pool = pool
        self.healthy = True

    async def create(self, response_id: str, value: bytes, ttl_seconds: int) -> bool:
        key = self._key(response_id)
        expiry = ("EX", ttl_seconds) if ttl_seconds else ()
        if await self._answer("create", self._pool.execute("SET", key, value, "NX", *expiry)):
            return True
        # A reply that was lost is retried below us, and then finds its own first try.
        return bool(await self._answer("create", self._pool.execute("GET", key)) == value)

    async def get(self, response_ids: Sequence[str]) -> list[bytes | None]:
        return await self._answer("get", self._pool.get_many([self._key(each) for each in response_ids]))

    async def exist(self, response_ids: Sequence[str]) -> bool:
        keys = [self._key(each) for each in response_ids]
        return await self._answer("exist", self._pool.count_existing(keys)) == len(keys)

    async def delete(self, response_id: str) -> bool:
        key = self._key(response_id)
        companions = (companion_key(key, "run"), companion_key(key, "events"))
        deleted, _ = await self._answer(
            "delete", asyncio.gather(self._pool.execute("DEL", key), self._pool.execute("UNLINK", *companions))
        )
        return bool(deleted)

    async def ping(self) -> None:
        await self._answer("ping", self._pool.ping())

    async def aclose(self) -> None:
        """Nothing is its own."""

    def _key(self, response_id: str) -> str:
        return response_key(self._pool.key_prefix, response_id)

    async def _answer(self, operation: str, reply: Awaitable[T]) -> T:
        try:
            answer = await reply
        except CONNECTION_ERRORS as error:
            self.healthy = False
            metrics.STORE_ERRORS.labels(operation).inc()
            raise StoreUnavailable(f"redis: {type(error).__name__}") from error
        self.healthy = True
        return answer
