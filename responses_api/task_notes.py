"""What workers note of their tasks for the console: what runs, when each last ran, and what failed, to be tried again.

Blocking; for the threads in which tasks run. A note that cannot be made is dropped: no task fails for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from redis.exceptions import RedisError

from responses_api.pulse import TaskReport

log = structlog.get_logger(__name__)

MAX_FAILURES = 500
_FIELD = b"failure"


class LastRun(Struct):
    """`at` Unix seconds when it ended, `ms` how long it took, `state` Celery's."""

    at: float
    ms: float
    state: str


class Failure(Struct):
    """A task that raised; `at` Unix seconds, `args` as it was called with, `key` where it is noted."""

    task_id: str
    name: str
    args: list[Any]
    error: str
    at: float
    key: str = ""


_encode = msgspec.json.Encoder(enc_hook=repr).encode
_decode_run = msgspec.json.Decoder(LastRun).decode
_decode_failure = msgspec.json.Decoder(Failure).decode


def last_key(prefix: str) -> str:
    """`sr:tasks:last`: a hash, task → its last run."""
    return f"{prefix}tasks:last"


def failed_key(prefix: str) -> str:
    """`sr:tasks:failed`: a stream of failures."""
    return f"{prefix}tasks:failed"


class TaskNotes:
    """One per worker process."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._running: dict[str, TaskReport] = {}

    def running(self) -> list[TaskReport]:
        return list(self._running.values())

    def began(self, task_id: str, name: str, args: Sequence[Any]) -> None:
        about = " ".join(str(each)[:60] for each in args)[:120]
        self._running[task_id] = TaskReport(task_id, name, about, time.time())

    def ended(self, task_id: str, name: str, state: str, *, is_noted: bool) -> None:
        """`is_noted` writes its last run down: for those of which there are few."""
        task = self._running.pop(task_id, None)
        if task is None or not is_noted:
            return
        run = LastRun(time.time(), round((time.time() - task.since) * 1000, 1), state)
        self._quietly("HSET", last_key(self._prefix), name, _encode(run))

    def failed(self, task_id: str, name: str, args: Sequence[Any], error: BaseException) -> None:
        failure = Failure(task_id, name, list(args), f"{type(error).__name__}: {error}"[:500], time.time())
        self._quietly("XADD", failed_key(self._prefix), "MAXLEN", "~", MAX_FAILURES, "*", _FIELD, _encode(failure))

    def _quietly(self, *command: Any) -> None:
        try:
            self._client.execute_command(*command)
        except RedisError as error:
            log.info("task_not_noted", reason=str(error) or type(error).__name__)


def last_runs(client: Any, prefix: str) -> dict[str, LastRun]:
    """Raises what Redis raises."""
    return {name.decode(): _decode_run(value) for name, value in client.hgetall(last_key(prefix)).items()}


def failures(client: Any, prefix: str, count: int) -> list[Failure]:
    """The newest first. Raises what Redis raises."""
    found = client.xrevrange(failed_key(prefix), count=count)
    return [msgspec.structs.replace(_decode_failure(fields[_FIELD]), key=key.decode()) for key, fields in found]


def take_failure(client: Any, prefix: str, key: str) -> Failure | None:
    """Removes it from the list, for whoever will see to it; None where another did. Raises what Redis raises."""
    found = client.xrange(failed_key(prefix), key, key)
    if not found or not client.xdel(failed_key(prefix), key):
        return None
    return _decode_failure(found[0][1][_FIELD])
