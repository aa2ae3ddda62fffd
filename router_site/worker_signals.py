"""What Celery tells of tasks and workers → the console's notes and the process's pulse."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from celery import Task
from celery.signals import (
    before_task_publish,
    task_failure,
    task_postrun,
    task_prerun,
    worker_ready,
    worker_shutting_down,
)
from django_redis import get_redis_connection

from responses_api.configured import router_config
from responses_api.pulse import Pulse, Report, new_process_id
from responses_api.runtime import Runtime
from responses_api.runtime_loop import runtime_loop
from responses_api.task_notes import TaskNotes

QUEUED_AT = "queued_at"
"""A header of each message: Unix seconds."""
RUNS = "run_response"
"""Too many of them to note each; the index tells of them."""

_pulses: list[Pulse] = []


@cache
def _notes() -> TaskNotes:
    return TaskNotes(get_redis_connection("default"), router_config().response_api.redis.key_prefix)


@before_task_publish.connect
def _stamp(headers: dict[str, Any], **_: Any) -> None:
    headers[QUEUED_AT] = time.time()


@task_prerun.connect
def _began(task_id: str, task: Task[..., Any], args: Any, **_: Any) -> None:
    _notes().began(task_id, task.name, args)


@task_postrun.connect
def _ended(task_id: str, task: Task[..., Any], state: str | None, **_: Any) -> None:
    _notes().ended(task_id, task.name, state or "", is_noted=task.name != RUNS)


@task_failure.connect
def _failed(task_id: str, sender: Task[..., Any], args: Any, exception: BaseException, **_: Any) -> None:
    _notes().failed(task_id, sender.name, args, exception)


@worker_ready.connect
def _begin(sender: Any, **_: Any) -> None:
    process_id, started_at = new_process_id(), time.time()
    concurrency = int(sender.controller.concurrency or 0)

    async def begin(runtime: Runtime) -> None:
        if runtime.pool is None:
            return

        def describe(lag_ms: float) -> Report:
            return Report(
                id=process_id,
                kind="worker",
                name=str(sender.hostname),
                started_at=started_at,
                lag_ms=round(lag_ms, 1),
                endpoints=runtime.fleet.standings(),
                tasks=_notes().running(),
                concurrency=concurrency,
            )

        pulse = Pulse(runtime.pool, describe)
        pulse.start()
        _pulses.append(pulse)

    runtime_loop().call(begin)


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    async def end(_: Runtime) -> None:
        while _pulses:
            await _pulses.pop().aclose()

    runtime_loop().call(end)
