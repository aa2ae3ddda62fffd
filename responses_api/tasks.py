"""Celery tasks: each loads what it needs and calls; no logic."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from celery import shared_task
from django.utils import timezone
from django_redis import get_redis_connection
from kombu.exceptions import OperationalError

from responses_api import index_drain
from responses_api.background.shapes import Ended, Nudge
from responses_api.background.worker import NoPlace
from responses_api.cache import filing
from responses_api.cache.filing_queue import Filing
from responses_api.config.schema import MAX_PRIORITY
from responses_api.configured import router_config
from responses_api.places import RETRY_SECONDS
from responses_api.runtime_loop import runtime_loop
from responses_api.webhooks import deliveries, sender

WEBHOOKS_AT_ONCE = 100


@shared_task(name="run_response")
def run_response(response_id: str) -> None:
    """Makes a background response, where it still waits to be made."""
    try:
        ended = runtime_loop().call(lambda runtime: runtime.background_worker.execute(response_id))
    except NoPlace as waiting:
        priority = _for_broker(waiting.priority)
        run_response.apply_async(args=(response_id,), countdown=RETRY_SECONDS, priority=priority, retry=False)
        return
    if ended is not None:
        tell_end(ended)


@shared_task(name="recover_runs")
def recover_runs() -> None:
    """Looks after background runs that nobody took, that lost their worker, or whose end was not told."""
    recovered = runtime_loop().call(lambda runtime: runtime.background_worker.recover(time.time()))
    enqueue_runs(recovered.nudges)
    for ended in recovered.ended:
        tell_end(ended)


@shared_task(name="drain_index")
def drain_index() -> int:
    """Index entries waiting in Redis → SQL; how many."""
    drained = index_drain.drain(get_redis_connection("default"), router_config().response_api.redis.key_prefix)
    return drained.written


@shared_task(name="sweep_index")
def sweep_index() -> int:
    """Deletes index rows of expired responses; how many."""
    return index_drain.sweep(timezone.now())


@shared_task(name="send_webhooks")
def send_webhooks() -> int:
    """Sends the webhooks that are due; how many were tried. No more than `WEBHOOKS_AT_ONCE`: slow receivers wait."""
    config = router_config().webhooks
    claimed = deliveries.claim_due(timezone.now(), config, WEBHOOKS_AT_ONCE)
    if claimed:
        messages = [each.message for each in claimed]
        outcomes = runtime_loop().call(lambda _: sender.send_all(messages, config))
        for each, outcome in zip(claimed, outcomes, strict=True):
            deliveries.record(each.delivery, outcome, timezone.now(), config)
    if len(claimed) == WEBHOOKS_AT_ONCE:
        send_webhooks.delay()
    return len(claimed)


@shared_task(name="sweep_webhooks")
def sweep_webhooks() -> int:
    """Deletes records of old deliveries; how many."""
    return deliveries.sweep(timezone.now(), router_config().webhooks)


@shared_task(name="file_cache_entries")
def file_cache_entries(waiting: dict[str, str]) -> int:
    """Files the answers that wait in Redis as entries; how many. Project → digests, with spaces between."""
    filings = [(project, digest) for project, digests in waiting.items() for digest in digests.split()]
    return filing.file_all(get_redis_connection("default"), router_config(), filings)


@shared_task(name="sweep_cache")
def sweep_cache() -> int:
    """Takes entries out of the cache's books that Redis has forgotten; how many."""
    return filing.sweep(get_redis_connection("default"), router_config(), time.time())


def enqueue_filings(filings: Sequence[Filing]) -> None:
    """Has a worker file them. Blocks; raises what the broker raises."""
    # Few long texts: kombu's JSON takes a hundred times as long for many short ones.
    waiting: dict[str, list[str]] = {}
    for project, digest in filings:
        waiting.setdefault(project, []).append(digest)
    texts = {project: " ".join(digests) for project, digests in waiting.items()}
    file_cache_entries.apply_async(args=(texts,), retry=False)


def enqueue_runs(nudges: Sequence[Nudge]) -> None:
    """Puts background runs into the workers' queue, by priority. Blocks; raises what the broker raises."""
    for response_id, priority in nudges:
        run_response.apply_async(args=(response_id,), priority=_for_broker(priority), retry=False)


def _for_broker(priority: int) -> int:
    """0 is the first; RabbitMQ takes the highest first, kombu's Redis the lowest."""
    is_rabbitmq = str(run_response.app.conf.broker_url).startswith(("amqp", "pyamqp"))
    return MAX_PRIORITY - priority if is_rabbitmq else priority


def tell_end(ended: Ended) -> None:
    """Writes down who is to be told of a run's end, then forgets the run: a crash in between does it again."""
    has_listeners = deliveries.announce(ended) > 0
    runtime_loop().call(lambda runtime: runtime.background_worker.forget(ended.response_id))
    if has_listeners:
        send_webhooks_soon()


def send_webhooks_soon() -> None:
    """Sooner than the beat would."""
    with suppress(OperationalError):
        send_webhooks.apply_async(retry=False)
