"""django-redis' clients, built from the router's own `redis` block: one place for addresses, TLS and timeouts."""

from __future__ import annotations

from functools import cache
from typing import Any

import redis
import redis.cluster
from django_redis.pool import ConnectionFactory

from responses_api.configured import router_config
from responses_api.redis.sync import sync_client


@cache
def _shared_client() -> redis.Redis | redis.cluster.RedisCluster:
    """One a process: redis-py's sync clients are safe to share between threads."""
    return sync_client(router_config().response_api.redis)


class RouterConnectionFactory(ConnectionFactory):  # type: ignore[misc]
    """Named by `DJANGO_REDIS_CONNECTION_FACTORY`; the URL in `CACHES` stands for the configured server."""

    def connect(self, url: str) -> redis.Redis | redis.cluster.RedisCluster:
        return _shared_client()

    def disconnect(self, connection: Any) -> None:
        """Django disconnects after each request; the shared client stays."""
