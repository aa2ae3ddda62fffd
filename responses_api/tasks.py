"""Celery tasks: each loads what it needs and calls; no logic."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone
from django_redis import get_redis_connection

from responses_api import index_drain
from responses_api.configured import router_config


@shared_task(name="drain_index", queue="maintenance")
def drain_index() -> int:
    """Index entries waiting in Redis → SQL; how many."""
    drained = index_drain.drain(get_redis_connection("default"), router_config().response_api.redis.key_prefix)
    return drained.written


@shared_task(name="sweep_index", queue="maintenance")
def sweep_index() -> int:
    """Deletes index rows of expired responses; how many."""
    return index_drain.sweep(timezone.now())
