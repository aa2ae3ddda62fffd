"""The Celery application: broker, queues and beat's schedule. `celery -A router_site worker --pool threads`."""

from __future__ import annotations

import logging
import os
from typing import Any
from urllib.parse import quote, urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "router_site.settings")

import django
from celery import Celery
from celery.signals import setup_logging
from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange, Queue

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - needs the settings module named

from responses_api.config.schema import MAX_PRIORITY, RedisConfig  # noqa: E402
from responses_api.configured import router_config  # noqa: E402
from responses_api.redis.addresses import DEFAULT_ADDRESS  # noqa: E402
from responses_api.redis.sync import tls_options  # noqa: E402
from router_site import logs  # noqa: E402

QUEUES = ("interactive", "cache", "maintenance")


def broker() -> dict[str, Any]:
    """Where tasks travel: `CELERY_BROKER_URL`, else `REDIS_URL`, else the configured standalone server.

    Raises `ImproperlyConfigured` for a Cluster: kombu has no transport for it.
    """
    redis = router_config().response_api.redis
    url = os.environ.get("CELERY_BROKER_URL", "")
    in_cluster = urlsplit(url).netloc.rpartition("@")[2] in redis.cluster_addresses if url else True
    if redis.cluster_mode and in_cluster:
        raise ImproperlyConfigured(
            "Celery cannot use a Redis Cluster as its broker: kombu has no transport for it. "
            "Set CELERY_BROKER_URL to a standalone Redis, or to RabbitMQ."
        )
    url = url or _to_url(redis)
    # Left to itself, kombu verifies no certificate.
    is_ours_to_verify = url.startswith("rediss://") and "ssl_cert_reqs" not in url
    return {"broker_url": url, "broker_use_ssl": tls_options(redis) if is_ours_to_verify else None}


def _to_url(redis: RedisConfig) -> str:
    scheme = "rediss" if redis.tls_enabled else "redis"
    user, password = (quote(each, safe="") for each in (redis.username, redis.password))
    credentials = f"{user}:{password}@" if user or password else ""
    return f"{scheme}://{credentials}{redis.address or DEFAULT_ADDRESS}/{redis.db}"


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure(settings.ROUTER_LOG_LEVEL)
    for name in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
        # At INFO three lines a second, for the drain alone.
        logging.getLogger(name).setLevel(logging.WARNING)


app = Celery("router")
app.conf.update(
    **broker(),
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        # Apart from the documented `sr:` keys, and from those of another router on the same server.
        "global_keyprefix": f"celery:{router_config().response_api.redis.key_prefix}",
        # A killed worker's task comes back after so many seconds; one that runs longer comes back too, and must hold
        # a claim of its own.
        "visibility_timeout": 60,
        # And then within 5 s; the defaults take up to 100.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    },
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_serializer="json",
    accept_content=["json"],
    task_queues=[
        # RabbitMQ has to be told that there are priorities; kombu's Redis takes no notice.
        Queue(name, Exchange(name), routing_key=name, queue_arguments={"x-max-priority": MAX_PRIORITY})
        for name in QUEUES
    ],
    task_default_queue="maintenance",
    task_routes={
        "run_response": {"queue": "interactive"},
        "file_cache_entries": {"queue": "cache"},
        "sweep_cache": {"queue": "cache"},
    },
    worker_pool="threads",
    # They wait for I/O; the default is one a CPU. `./run` starts a worker for each kind of queue.
    worker_concurrency=router_config().workers.upkeep,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
    beat_schedule_filename=str(settings.VAR_DIR / "celerybeat-schedule"),
    beat_max_loop_interval=1,
    # What is not fetched in time is dropped: the next one does the same work, and a dead worker leaves no pile.
    beat_schedule={
        "drain_index": {"task": "drain_index", "schedule": 1.0, "options": {"expires": 5}},
        "recover_runs": {"task": "recover_runs", "schedule": 2.0, "options": {"expires": 4}},
        "send_webhooks": {"task": "send_webhooks", "schedule": 5.0, "options": {"expires": 10}},
        "sweep_cache": {"task": "sweep_cache", "schedule": 60.0, "options": {"expires": 60}},
        "sweep_index": {"task": "sweep_index", "schedule": 60.0, "options": {"expires": 60}},
        "sweep_webhooks": {"task": "sweep_webhooks", "schedule": 3600.0, "options": {"expires": 3600}},
    },
    timezone="UTC",
)
app.autodiscover_tasks(["responses_api"])

from router_site import worker_signals  # noqa: E402, F401 - connects them
