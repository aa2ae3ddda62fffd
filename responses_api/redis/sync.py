"""redis-py's blocking clients, for tasks and console: standalone or Cluster, as configured."""

from __future__ import annotations

import ssl
from typing import Any

import redis
import redis.cluster
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from responses_api.config.schema import RedisConfig
from responses_api.redis.addresses import DEFAULT_ADDRESS, split_address
from responses_api.redis.node import FIRST_RETRY_SECONDS, exchange_seconds


def sync_client(config: RedisConfig) -> redis.Redis | redis.cluster.RedisCluster:
    """For tasks and console. Connects on first use."""
    retry = Retry(ExponentialBackoff(cap=1, base=FIRST_RETRY_SECONDS), config.max_retries)
    options = {
        **_credentials(config),
        "max_connections": config.pool_size,
        "socket_timeout": exchange_seconds(config),
        "retry": retry,
    }
    if config.tls_enabled:
        options |= {"ssl": True, **tls_options(config)}
    if config.cluster_mode:
        nodes: list[Any] = [
            redis.cluster.ClusterNode(*split_address(address))  # type: ignore[no-untyped-call]
            for address in config.cluster_addresses
        ]
        return redis.cluster.RedisCluster(startup_nodes=nodes, **options)
    host, port = split_address(config.address or DEFAULT_ADDRESS)
    return redis.Redis(host=host, port=port, db=config.db, **options)


def _credentials(config: RedisConfig) -> dict[str, Any]:
    return {
        "username": config.username or None,
        "password": config.password or None,
        "socket_connect_timeout": config.dial_timeout,
    }


def tls_options(config: RedisConfig) -> dict[str, Any]:
    return {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_ca_certs": config.tls_ca_path or None,
        "ssl_certfile": config.tls_cert_path or None,
        "ssl_keyfile": config.tls_key_path or None,
    }
