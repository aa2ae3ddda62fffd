"""django-redis' clients, built from the router's own `redis` block: one place for addresses, TLS and timeouts."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import redis
import redis.cluster
from django.conf import settings
from django_redis.pool import ConnectionFactory

from responses_api.config.load import load_config
from responses_api.config.schema import RouterConfig
from responses_api.redis_pool import sync_client


@cache
def router_config() -> RouterConfig:
    """The configuration of this process. Raises `ConfigError`."""
    path = settings.ROUTER_CONFIG
    return load_config(path if path.exists() else None, os.environ).config


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
