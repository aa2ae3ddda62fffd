"""Celery tasks: each loads what it needs and calls; no logic."""

from __future__ import annotations

import time
from collections.abc import Sequence

from celery import shared_task
from django.utils import timezone
from django_redis import get_redis_connection

from responses_api import index_drain
from responses_api.background import Ended, Nudge
from responses_api.configured import router_config
from responses_api.worker_loop import worker_loop


@shared_task(name="run_response", queue="interactive")
def run_response(response_id: str) -> None:
    """Makes a background response, where it still waits to be made."""
    ended = worker_loop().call(lambda runtime: runtime.background.execute(response_id))
    if ended is not None:
        tell_end(ended)


@shared_task(name="recover_runs", queue="maintenance")
def recover_runs() -> None:
    """Looks after background runs that nobody took, that lost their worker, or whose end was not told."""
    recovered = worker_loop().call(lambda runtime: runtime.background.recover(time.time()))
    enqueue_runs(recovered.nudges)
    for ended in recovered.ended:
        tell_end(ended)


@shared_task(name="drain_index", queue="maintenance")
def drain_index() -> int:
    """Index entries waiting in Redis → SQL; how many."""
    drained = index_drain.drain(get_redis_connection("default"), router_config().response_api.redis.key_prefix)
    return drained.written


@shared_task(name="sweep_index", queue="maintenance")
def sweep_index() -> int:
    """Deletes index rows of expired responses; how many."""
    return index_drain.sweep(timezone.now())


def enqueue_runs(nudges: Sequence[Nudge]) -> None:
    """Puts background runs into the workers' queue, by priority. Blocks; raises what the broker raises."""
    for response_id, priority in nudges:
        run_response.apply_async(args=(response_id,), priority=priority, retry=False)


def tell_end(ended: Ended) -> None:
    """Tells of a run's end, then forgets the run: a crash in between tells it again."""
    worker_loop().call(lambda runtime: runtime.background.forget(ended.response_id))
