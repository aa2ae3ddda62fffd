"""The Celery application: broker, queues and beat's schedule. `celery -A router_site worker --pool threads`."""

from __future__ import annotations

import os
from urllib.parse import quote

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "router_site.settings")

import django
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange, Queue

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - needs the settings module named

from responses_api.config.schema import RedisConfig  # noqa: E402
from responses_api.configured import router_config  # noqa: E402

QUEUES = ("interactive", "cache", "maintenance")


def broker_url() -> str:
    """`CELERY_BROKER_URL`, else `REDIS_URL`, else the configured standalone server.

    Raises `ImproperlyConfigured` for a Cluster: kombu has no transport for it.
    """
    named = os.environ.get("CELERY_BROKER_URL") or os.environ.get("REDIS_URL")
    if named:
        return named
    redis = router_config().response_api.redis
    if redis.cluster_mode:
        raise ImproperlyConfigured(
            "Celery cannot use a Redis Cluster as its broker: kombu has no transport for it. "
            "Set CELERY_BROKER_URL to a standalone Redis, or to RabbitMQ."
        )
    return _to_url(redis)


def _to_url(redis: RedisConfig) -> str:

    scheme = "rediss" if redis.tls_enabled else "redis"
    credentials = f"{quote(redis.username, safe='')}:{quote(redis.password, safe='')}@" if redis.password else ""
    return f"{scheme}://{credentials}{redis.address or 'localhost:6379'}/{redis.db}"


app = Celery("router")
app.conf.update(
    broker_url=broker_url(),
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        # Broker keys stay apart from the documented `sr:` ones.
        "global_keyprefix": "celery:",
        "visibility_timeout": 3600,
        # A killed worker's tasks are found after 5 s; the defaults need about 100.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    },
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_serializer="json",
    accept_content=["json"],
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
    task_default_queue="maintenance",
    worker_pool="threads",
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=True,
    beat_schedule_filename=str(settings.VAR_DIR / "celerybeat-schedule"),
    beat_max_loop_interval=1,
    # What is not fetched in time is dropped: the next one does the same work, and a dead worker leaves no pile.
    beat_schedule={
        "drain_index": {"task": "drain_index", "schedule": 1.0, "options": {"expires": 5}},
        "sweep_index": {"task": "sweep_index", "schedule": 60.0, "options": {"expires": 60}},
    },
    timezone="UTC",
)
app.autodiscover_tasks(["responses_api"])
