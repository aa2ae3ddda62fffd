"""Which parts a site consists of."""

from __future__ import annotations

from typing import Any

import pytest

from responses_api.config.schema import (
    BackendConfig,
    ModelConfig,
    RedisConfig,
    ResponseApiConfig,
    RouterConfig,
    VllmEndpoint,
)
from router_site.launcher.decisions import decide
from router_site.launcher.options import Options, parse_options
from router_site.launcher.problems import StartError

BACKEND = BackendConfig("openai", "http://127.0.0.1:1/v1", models=("gpt-4o-mini",))
ENDPOINT = VllmEndpoint("local", "127.0.0.1", 8000)
CLUSTER = RedisConfig(cluster_mode=True, cluster_addresses=("127.0.0.1:7001",))


def options(*arguments: str) -> Options:
    return parse_options(arguments, environ={})


def config(redis: RedisConfig | None = None, **fields: Any) -> RouterConfig:
    api = ResponseApiConfig(store_backend="redis", redis=redis or RedisConfig())
    return RouterConfig(response_api=api, **fields)


def test_with_nothing_configured_everything_is_embedded() -> None:
    decisions = decide(options(), config(), {})
    assert decisions.has_valkey
    assert decisions.has_demo
    assert decisions.has_worker
    assert decisions.model == "demo"


@pytest.mark.parametrize(
    ("redis", "environ"),
    [
        (RedisConfig(address="redis:6379"), {}),
        (RedisConfig(), {"REDIS_URL": "redis://redis:6379/0"}),
        (CLUSTER, {"CELERY_BROKER_URL": "redis://redis:6379/0"}),
    ],
)
def test_a_redis_of_ones_own_replaces_the_embedded_server(redis: RedisConfig, environ: dict[str, str]) -> None:
    assert not decide(options(), config(redis), environ).has_valkey


def test_a_memory_store_has_the_embedded_server_for_queues() -> None:
    assert decide(options(), RouterConfig(), {}).has_valkey


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({"backends": (BACKEND,)}, "gpt-4o-mini"),
        ({"vllm_endpoints": (ENDPOINT,)}, ""),
        ({"vllm_endpoints": (ENDPOINT,), "model_config": {"qwen3": ModelConfig(("local",))}}, "qwen3"),
    ],
)
def test_a_configured_backend_replaces_the_demo(fields: dict[str, Any], model: str) -> None:
    decisions = decide(options(), config(**fields), {})
    assert not decisions.has_demo
    assert decisions.model == model


def test_options_leave_parts_out() -> None:
    decisions = decide(options("--no-demo", "--no-worker"), config(), {})
    assert not decisions.has_demo
    assert not decisions.has_worker


def test_memory_does_not_serve_several_processes() -> None:
    with pytest.raises(StartError, match=r"store_backend = 'memory'.*--workers 1"):
        decide(options("--workers", "2"), RouterConfig(), {})


def test_beside_a_cluster_the_embedded_server_is_the_broker_alone() -> None:
    embedded = decide(options(), config(CLUSTER), {})
    assert (embedded.has_valkey, embedded.valkey_is_broker) == (True, True)
    for arguments in ((), ("--no-worker",)):
        elsewhere = decide(options(*arguments), config(CLUSTER), {"CELERY_BROKER_URL": "amqp://rabbit"})
        assert (elsewhere.has_valkey, elsewhere.valkey_is_broker) == (False, False)
    with pytest.raises(StartError, match="CELERY_BROKER_URL"):
        decide(options("--no-worker"), config(CLUSTER), {})
