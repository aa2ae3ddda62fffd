"""Workers: processes, queues, what runs, what failed and may be tried again, and when each job last ran."""

from __future__ import annotations

from typing import Any

from celery import current_app
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from kombu.exceptions import OperationalError

from cache_admin import audit, queues, sources
from cache_admin.page import page, render
from cache_admin.queues import BrokerAway
from responses_api import pulse, task_notes

SHOWN = 50


@page("workers/", "workers")
def workers(request: HttpRequest) -> HttpResponseBase:
    if not sources.has_redis():
        return render(request, "workers", {"title": "Workers", "has_redis": False})
    client, prefix = sources.redis(), sources.prefix()
    reports, broker_problem, waiting = pulse.read_all(client, prefix), "", []
    try:
        waiting = queues.queues()
    except BrokerAway as error:
        broker_problem = str(error)
    context = {
        "title": "Workers",
        "has_redis": True,
        "reports": reports,
        "queues": waiting,
        "broker_problem": broker_problem,
        "backlog": queues.backlog(),
        "running": [(report, task) for report in reports for task in report.tasks],
        "failures": task_notes.failures(client, prefix, SHOWN),
        "jobs": _jobs(task_notes.last_runs(client, prefix)),
    }
    return render(request, "workers", context)


@page("workers/retry/<str:key>/", "task_retry")
def retry(request: HttpRequest, key: str) -> HttpResponseBase:
    """Puts a failed task into its queue once more, or with `drop` only takes it off the list."""
    if request.method != "POST":
        return redirect("admin:workers")
    if not key.replace("-", "", 1).isdigit():
        raise Http404("This is no note of a failure.")
    failure = task_notes.take_failure(sources.redis(), sources.prefix(), key)
    if failure is None:
        messages.warning(request, "Somebody else saw to it already.")
    elif "drop" in request.POST:
        audit.record(request, "drop task", failure.name, failure.error)
        messages.success(request, f"{failure.name} is off the list.")
    elif failure.name not in current_app.tasks:
        messages.error(request, f"There is no task '{failure.name}' any more.")
    else:
        try:
            current_app.tasks[failure.name].apply_async(args=tuple(failure.args), retry=False)
        except OperationalError as error:
            messages.error(request, f"The broker does not take it: {error}")
        else:
            audit.record(request, "retry task", failure.name, failure.error)
            messages.success(request, f"{failure.name} is in its queue again.")
    return redirect("admin:workers")


def _jobs(last: dict[str, task_notes.LastRun]) -> list[dict[str, Any]]:
    """What beat starts, how often, and the last run of each."""
    return [
        {"name": name, "every": float(_seconds(job["schedule"])), "last": last.get(job["task"])}
        for name, job in sorted(current_app.conf.beat_schedule.items())
    ]


def _seconds(schedule: Any) -> float:
    return schedule.total_seconds() if hasattr(schedule, "total_seconds") else float(schedule)
