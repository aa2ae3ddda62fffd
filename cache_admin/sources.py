"""Where the console reads: Redis, the configuration, and this process's runtime."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from django_redis import get_redis_connection

from responses_api.config.schema import RouterConfig
from responses_api.configured import router_config
from responses_api.models import Project
from responses_api.runtime import Runtime
from responses_api.runtime_loop import runtime_loop

T = TypeVar("T")


def config() -> RouterConfig:
    return router_config()


def has_redis() -> bool:
    return config().response_api.uses_redis


def redis() -> Any:
    """The sync client: a server's or a Cluster's."""
    return get_redis_connection("default")


def prefix() -> str:
    return config().response_api.redis.key_prefix


def ask(operation: Callable[[Runtime], Awaitable[T]]) -> T:
    """What the runtime of this process answers. Raises what it raises."""
    return runtime_loop().call(operation)


def project_names() -> dict[str, str]:
    """Public id → name."""
    return dict(Project.objects.values_list("public_id", "name"))
