"""What an operator should look at first, the worst in front, each with the page where to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Model
from django.urls import reverse
from django.utils import timezone

from cache_admin.fleet import Backend
from cache_admin.queues import Backlog, Queue
from cache_admin.templatetags.console import duration, percent
from responses_api.models import ApiKey, BackendEndpoint, WebhookDelivery, WebhookEndpoint
from responses_api.pulse import Report
from responses_api.task_notes import Failure
from responses_api.traffic import Traffic
from responses_api.vault import LockedAwayError

MANY_FAILED = 0.05
LONG_QUEUE_SECONDS = 30
LATE_INDEX_SECONDS = 15
LATE_LOOP_MS = 250
RECENT = timedelta(hours=1)
EXPIRING = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Problem:
    """`level`: error or warning; `where` the page's address."""

    level: str
    text: str
    where: str


def of_backends(backends: Sequence[Backend]) -> list[Problem]:
    where, found = reverse("admin:backends"), []
    for each in backends:
        if each.state == "spared":
            reason = f": {each.reasons[0]}" if each.reasons else ""
            found.append(Problem("error", f"Backend {each.name} is not asked{reason}", where))
        elif each.probe is not None and each.probe.reason and not each.is_drained:
            found.append(Problem("warning", f"Backend {each.name} {each.probe.reason}", where))
        elif each.state == "trial":
            found.append(Problem("warning", f"Backend {each.name} is being tried again", where))
        if each.state == "drained":
            found.append(Problem("warning", f"Backend {each.name} is drained", where))
    if not backends:
        found.append(Problem("error", "There is no backend: nothing can be answered", where))
    elif all(each.is_drained for each in backends):
        found.append(Problem("error", "Every backend is drained: nothing can be answered", where))
    return found


def of_traffic(last_hour: Traffic) -> list[Problem]:
    if not last_hour.failed:
        return []
    share = last_hour.failed / last_hour.requests if last_hour.requests else 1.0
    level = "error" if share >= MANY_FAILED else "warning"
    where = reverse("admin:responses") + "?status=failed"
    return [Problem(level, f"{last_hour.failed:,} requests failed in the last hour ({percent(share)})", where)]


def of_workers(reports: Sequence[Report], queues: Sequence[Queue], backlog: Backlog) -> list[Problem]:
    where, found = reverse("admin:workers"), []
    if not any(report.kind == "worker" for report in reports):
        found.append(Problem("error", "No worker is alive: nothing runs in the background", where))
    found += [
        Problem(
            "warning",
            f"{queue.depth:,} wait in {queue.name}, for {duration(queue.oldest_seconds)} by now",
            where,
        )
        for queue in queues
        if (queue.oldest_seconds or 0) > LONG_QUEUE_SECONDS
    ]
    if (backlog.index_oldest_seconds or 0) > LATE_INDEX_SECONDS:
        late = duration(backlog.index_oldest_seconds)
        found.append(Problem("warning", f"The index is {late} behind: {backlog.index_entries:,} entries wait", where))
    found += [
        Problem("warning", f"{report.name} (pid {report.pid}) is {report.lag_ms:.0f} ms late: overloaded", where)
        for report in reports
        if report.lag_ms > LATE_LOOP_MS
    ]
    return found


def of_tasks(failures: Sequence[Failure]) -> list[Problem]:
    since = (timezone.now() - RECENT).timestamp()
    recent = [each for each in failures if each.at > since]
    if not recent:
        return []
    text = f"{len(recent)} task{'s' * (len(recent) > 1)} failed in the last hour, the newest {recent[0].name}"
    return [Problem("error", text, reverse("admin:workers"))]


def of_webhooks() -> list[Problem]:
    failed = WebhookDelivery.objects.filter(state="failed", created_at__gt=timezone.now() - RECENT * 24)
    if not (number := failed.count()):
        return []
    where = reverse("admin:responses_api_webhookdelivery_changelist") + "?state__exact=failed"
    return [Problem("warning", f"{number} webhook deliver{'y' if number == 1 else 'ies'} given up today", where)]


def of_secrets() -> list[Problem]:
    """What is left out since no configured key opens its secret."""
    found = []
    for backend in BackendEndpoint.objects.all():
        if reason := _locked_away(backend, "api_key"):
            where = reverse("admin:responses_api_backendendpoint_changelist")
            found.append(Problem("error", f"Backend {backend.name} is left out. {reason}", where))
    for endpoint in WebhookEndpoint.objects.filter(is_active=True):
        if reason := _locked_away(endpoint, "secret"):
            where = reverse("admin:responses_api_webhookendpoint_changelist")
            found.append(Problem("error", f"Webhook {endpoint} is told nothing. {reason}", where))
    return found


def _locked_away(row: Model, name: str) -> str:
    """Why that field cannot be read; empty: it can."""
    try:
        getattr(row, name)
    except LockedAwayError as error:
        return error.message
    return ""


def of_keys() -> list[Problem]:
    now = timezone.now()
    expiring = ApiKey.objects.filter(revoked_at=None, expires_at__gt=now, expires_at__lt=now + EXPIRING).order_by(
        "expires_at"
    )
    where = reverse("admin:responses_api_apikey_changelist")
    return [
        Problem("warning", f"API key {key.name} expires in {duration((key.expires_at - now).total_seconds())}", where)
        for key in expiring[:3]
        if key.expires_at is not None
    ]
