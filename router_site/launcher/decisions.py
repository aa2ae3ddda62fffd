"""From options, configuration and environment to what is started; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from responses_api.config.schema import RouterConfig, WorkerConfig
from router_site.launcher.options import Options
from router_site.launcher.problems import StartError

DEMO_MODEL = "demo"


@dataclass(frozen=True, slots=True)
class Decisions:
    """Which parts this site consists of, beside its web processes."""

    has_valkey: bool
    valkey_is_broker: bool
    """Is the embedded server for tasks alone? State is in a Cluster, where queues cannot live."""
    has_demo: bool
    has_worker: bool
    concurrency: WorkerConfig
    model: str
    """One to try the site with; empty where the configuration names none."""


def decide(options: Options, config: RouterConfig, environ: Mapping[str, str]) -> Decisions:
    """Raises `StartError` for what would start but not work. `config` is as loaded with `environ`."""
    api = config.response_api
    if api.store_backend == "memory" and options.workers > 1:
        raise StartError(
            f"--workers {options.workers} with response_api.store_backend = 'memory': each process would remember "
            "only its own responses. Set store_backend: redis, or start with --workers 1."
        )
    in_cluster = api.redis.cluster_mode
    needs_broker = in_cluster and not environ.get("CELERY_BROKER_URL")
    if needs_broker and not options.has_worker:
        raise StartError(
            "response_api.redis.cluster_mode = True and --no-worker: Celery's queues cannot live in a Cluster. Set "
            "CELERY_BROKER_URL to the standalone Redis or RabbitMQ from which the workers take their tasks."
        )
    has_demo = options.has_demo and not config.backends and not config.vllm_endpoints
    return Decisions(
        has_valkey=needs_broker or not (in_cluster or environ.get("REDIS_URL") or api.redis.address),
        valkey_is_broker=needs_broker,
        has_demo=has_demo,
        has_worker=options.has_worker,
        concurrency=config.workers,
        model=DEMO_MODEL if has_demo else _first_model(config),
    )


def _first_model(config: RouterConfig) -> str:
    named = [*config.model_config, *(model for backend in config.backends for model in backend.models)]
    return named[0] if named else ""
