"""The log of webhook deliveries, which is also their queue: one row for each event and endpoint.

At least once, with the same `webhook-id` each time: a row is pending until its outcome is written. A worker claims
rows by moving their next attempt into the future; if it dies, that is when another tries.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from django.db.models import F, Q, QuerySet

from responses_api import metrics
from responses_api.background.shapes import Ended
from responses_api.config.schema import WebhookConfig
from responses_api.models import WebhookDelivery, WebhookEndpoint
from responses_api.shapes.ids import new_id
from responses_api.vault import LockedAwayError
from responses_api.webhooks.sender import GONE, Message, Outcome
from responses_api.webhooks.signature import new_secret

log = structlog.get_logger(__name__)

EVENT_TYPES = ("response.completed", "response.failed", "response.incomplete", "response.cancelled")
PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""After the first attempt, the second and so on; from then on the last. The schedule Standard Webhooks proposes."""
CLAIM_MARGIN = timedelta(seconds=20)
"""Beyond the timeout of an attempt; then it is taken for lost."""
SECRET_OVERLAP = timedelta(days=1)
"""How long after a rotation the old secret signs as well."""


LISTENERS_SECONDS = 1.0
"""How old the list of endpoints may be that ends are announced to."""


class Event(msgspec.Struct):
    """The body that receivers get, as OpenAI has it; `created_at` in Unix seconds."""

    id: str
    created_at: int
    type: str
    data: dict[str, str]
    object: str = "event"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is this worker's to send, now."""

    delivery: WebhookDelivery
    message: Message


class Listeners:
    """Who listens, as of a second ago: most runs end with nobody listening, and a query costs as much as such a run."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._known: dict[str, list[WebhookEndpoint]] = {}
        self._read_at = -LISTENERS_SECONDS

    def of(self, project: str, event_type: str) -> list[WebhookEndpoint]:
        """The active endpoints of the project with this public id that want events of this type."""
        with self._reading:
            if time.monotonic() - self._read_at >= LISTENERS_SECONDS:
                self._read()
        return [each for each in self._known.get(project, ()) if not each.events or event_type in each.events]

    def forget(self) -> None:
        self._read_at = -LISTENERS_SECONDS

    def _read(self) -> None:
        known: dict[str, list[WebhookEndpoint]] = {}
        for endpoint in WebhookEndpoint.objects.filter(is_active=True).select_related("project"):
            known.setdefault(endpoint.project.public_id, []).append(endpoint)
        self._known, self._read_at = known, time.monotonic()


listeners = Listeners()


def announce(ended: Ended) -> int:
    """Writes down whom to tell of the end of a run; how many. Again for the same run changes nothing."""
    event_type = f"response.{ended.status}"
    at = datetime.fromtimestamp(ended.at, UTC)
    rows = [
        WebhookDelivery(
            endpoint=endpoint,
            event_id=ended.response_id.replace("resp_", "evt_", 1),
            type=event_type,
            response_id=ended.response_id,
            created_at=at,
            next_attempt_at=at,
        )
        for endpoint in listeners.of(ended.project, event_type)
    ]
    WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def announce_test(endpoint: WebhookEndpoint, now: datetime) -> WebhookDelivery:
    """An event like any other, of a response that there is not."""
    event_type = endpoint.events[0] if endpoint.events else EVENT_TYPES[0]
    return WebhookDelivery.objects.create(
        endpoint=endpoint,
        event_id=new_id("evt"),
        type=event_type,
        response_id="resp_test",
        created_at=now,
        next_attempt_at=now,
    )


def claim_due(now: datetime, config: WebhookConfig, limit: int) -> list[Claimed]:
    """Deliveries whose time has come, the most overdue first, each given to one caller only."""
    due = WebhookDelivery.objects.filter(state="pending", next_attempt_at__lte=now, endpoint__is_active=True)
    claimed_until = now + timedelta(seconds=config.timeout) + CLAIM_MARGIN
    found = due.select_related("endpoint").order_by("next_attempt_at")[:limit]
    claimed = []
    for each in found:
        if claim(each, claimed_until):
            try:
                claimed.append(Claimed(each, _message(each, now)))
            except LockedAwayError as error:  # its key may come back
                record(each, Outcome(None, f"not sent: {error.message}"), now, config)
    return claimed


def claim(delivery: WebhookDelivery, until: datetime) -> bool:
    """Makes it the caller's until then; False where another was faster since it was read."""
    unchanged = WebhookDelivery.objects.filter(
        pk=delivery.pk, state="pending", next_attempt_at=delivery.next_attempt_at
    )
    is_mine = unchanged.update(next_attempt_at=until, attempts=F("attempts") + 1) == 1
    delivery.attempts, delivery.next_attempt_at = delivery.attempts + 1, until
    return is_mine


def record(delivery: WebhookDelivery, outcome: Outcome, now: datetime, config: WebhookConfig) -> None:
    """What came of an attempt, and when the next one is, if there is to be one. 410 Gone switches the endpoint off."""
    delivery.last_status, delivery.last_error = outcome.status, outcome.error[:200]
    if outcome.is_delivered:
        delivery.state, delivery.delivered_at = "delivered", now
    elif outcome.status == GONE or delivery.attempts >= config.max_attempts:
        delivery.state = "failed"
    else:
        delivery.next_attempt_at = now + PAUSES[min(delivery.attempts, len(PAUSES)) - 1]
    # An attempt that took too long has been claimed by another, whose outcome it is to write, unless this one is good.
    fields = ["state", "last_status", "last_error", "delivered_at", "next_attempt_at"]
    rows = WebhookDelivery.objects.filter(pk=delivery.pk, state="pending")
    if not outcome.is_delivered:
        rows = rows.filter(attempts=delivery.attempts)
    rows.update(**{name: getattr(delivery, name) for name in fields})
    metrics.WEBHOOK_ATTEMPTS.labels("retry" if delivery.state == "pending" else delivery.state).inc()
    if outcome.status == GONE:
        WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(is_active=False)
    if not outcome.is_delivered:
        log.warning(
            "webhook_not_delivered",
            event_id=delivery.event_id,
            endpoint=delivery.endpoint_id,
            attempts=delivery.attempts,
            state=delivery.state,
            status=outcome.status,
            reason=outcome.error,
        )


def send_again(chosen: QuerySet[WebhookDelivery], now: datetime) -> int:
    """As if for the first time, whatever became of them; how many."""
    return chosen.order_by().update(state="pending", attempts=0, next_attempt_at=now, delivered_at=None)


def rotate_secret(endpoint: WebhookEndpoint, now: datetime) -> str:
    """The new secret; for `SECRET_OVERLAP` the old one signs as well, so that receivers can follow."""
    endpoint.old_secret, endpoint.old_secret_until = endpoint.secret, now + SECRET_OVERLAP
    endpoint.secret = new_secret()
    endpoint.save(update_fields=["secret", "old_secret", "old_secret_until"])
    return endpoint.secret


def sweep(now: datetime, config: WebhookConfig, *, batch_size: int = 1000) -> int:
    """Deletes the records of deliveries that are old and have ended, or wait for what is switched off; how many."""
    old = WebhookDelivery.objects.filter(created_at__lt=now - timedelta(seconds=config.retention_seconds))
    finished = old.filter(~Q(state="pending") | Q(endpoint__is_active=False)).order_by()
    total = 0
    while batch := list(finished.values_list("pk", flat=True)[:batch_size]):
        total += WebhookDelivery.objects.filter(pk__in=batch).delete()[0]
    return total


def _message(delivery: WebhookDelivery, now: datetime) -> Message:
    endpoint = delivery.endpoint
    event = Event(delivery.event_id, int(delivery.created_at.timestamp()), delivery.type, {"id": delivery.response_id})
    secrets = [endpoint.secret]
    if endpoint.old_secret_until is not None and now < endpoint.old_secret_until:
        secrets.append(endpoint.old_secret)
    return Message(endpoint.url, delivery.event_id, int(now.timestamp()), msgspec.json.encode(event), tuple(secrets))
