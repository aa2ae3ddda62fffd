"""The log of deliveries: who is told, how often, and what is left after each outcome."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responses_api.background.shapes import Ended
from responses_api.config.schema import WebhookConfig
from responses_api.models import Project, WebhookDelivery, WebhookEndpoint
from responses_api.webhooks import deliveries
from responses_api.webhooks.deliveries import PAUSES
from responses_api.webhooks.sender import Outcome

pytestmark = pytest.mark.django_db

CONFIG = WebhookConfig()
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def endpoint(project: str = "default", **fields: object) -> WebhookEndpoint:
    owner, _ = Project.objects.get_or_create(public_id=project, defaults={"name": project})
    return WebhookEndpoint.objects.create(project=owner, url="https://hooks.example.com/", **fields)


def ended(status: str = "completed", project: str = "default") -> Ended:
    return Ended(project, "resp_0123", status, NOW.timestamp())


def delivery() -> WebhookDelivery:
    return WebhookDelivery.objects.get()


def attempt(now: datetime, outcome: Outcome, config: WebhookConfig = CONFIG) -> WebhookDelivery:
    [claimed] = deliveries.claim_due(now, config, 10)
    deliveries.record(claimed.delivery, outcome, now, config)
    return delivery()


def test_each_endpoint_of_the_project_is_told_once() -> None:
    mine, also_mine = endpoint(), endpoint(events=["response.completed", "response.failed"])
    endpoint(events=["response.failed"])
    endpoint(is_active=False)
    endpoint("another")
    assert deliveries.announce(ended()) == 2
    deliveries.announce(ended())
    assert {each.endpoint_id for each in WebhookDelivery.objects.all()} == {mine.pk, also_mine.pk}
    assert WebhookDelivery.objects.count() == 2


def test_what_is_sent_is_openais_event() -> None:
    hook = endpoint()
    deliveries.announce(ended("failed"))
    [claimed] = deliveries.claim_due(NOW + timedelta(minutes=1), CONFIG, 10)
    assert claimed.message.event_id == "evt_0123"
    assert claimed.message.secrets == (hook.secret,)
    assert claimed.message.timestamp == int(NOW.timestamp()) + 60
    expected = (
        f'{{"id":"evt_0123","created_at":{int(NOW.timestamp())},"type":"response.failed",'
        '"data":{"id":"resp_0123"},"object":"event"}'
    )
    assert claimed.message.body.decode() == expected


def test_success_ends_it() -> None:
    endpoint()
    deliveries.announce(ended())
    after = attempt(NOW, Outcome(204))
    assert (after.state, after.attempts, after.last_status, after.delivered_at) == ("delivered", 1, 204, NOW)
    assert deliveries.claim_due(NOW + timedelta(days=9), CONFIG, 10) == []


def test_failure_is_tried_again_with_growing_pauses_until_it_is_given_up() -> None:
    endpoint()
    deliveries.announce(ended())
    now = NOW
    for number, pause in enumerate(PAUSES, start=1):
        after = attempt(now, Outcome(500))
        assert (after.state, after.attempts, after.next_attempt_at) == ("pending", number, now + pause)
        assert deliveries.claim_due(after.next_attempt_at - timedelta(milliseconds=1), CONFIG, 10) == []
        now = after.next_attempt_at
    after = attempt(now, Outcome(None, "no answer within 10 s"))
    assert (after.state, after.attempts, after.last_status) == ("failed", 10, None)
    assert after.last_error == "no answer within 10 s"
    assert timedelta(days=3) < now - NOW < timedelta(days=3, hours=6)


def test_410_switches_the_endpoint_off() -> None:
    hook = endpoint()
    deliveries.announce(ended())
    assert attempt(NOW, Outcome(410)).state == "failed"
    hook.refresh_from_db()
    assert not hook.is_active
    deliveries.listeners.forget()
    assert deliveries.announce(ended("failed")) == 0


def test_what_is_claimed_is_nobody_elses_until_the_claim_runs_out() -> None:
    endpoint()
    deliveries.announce(ended())
    [first] = deliveries.claim_due(NOW, CONFIG, 10)
    assert deliveries.claim_due(NOW + timedelta(seconds=29), CONFIG, 10) == []
    [second] = deliveries.claim_due(NOW + timedelta(seconds=31), CONFIG, 10)
    # The one taken for lost comes back: its failure is not the last word, its success would be.
    deliveries.record(first.delivery, Outcome(500), NOW, CONFIG)
    assert (delivery().attempts, delivery().last_status) == (2, None)
    deliveries.record(first.delivery, Outcome(200), NOW, CONFIG)
    deliveries.record(second.delivery, Outcome(500), NOW, CONFIG)
    assert (delivery().state, delivery().last_status) == ("delivered", 200)


def test_of_two_who_read_it_at_once_one_gets_it() -> None:
    endpoint()
    deliveries.announce(ended())
    first, second = delivery(), delivery()
    assert deliveries.claim(first, NOW + timedelta(seconds=30))
    assert not deliveries.claim(second, NOW + timedelta(seconds=30))


def test_what_waits_for_an_endpoint_that_is_off_goes_on_when_it_is_on_again() -> None:
    hook = endpoint()
    deliveries.announce(ended())
    WebhookEndpoint.objects.update(is_active=False)
    assert deliveries.claim_due(NOW, CONFIG, 10) == []
    WebhookEndpoint.objects.filter(pk=hook.pk).update(is_active=True)
    assert len(deliveries.claim_due(NOW, CONFIG, 10)) == 1


def test_it_can_be_sent_again() -> None:
    endpoint()
    deliveries.announce(ended())
    attempt(NOW, Outcome(200))
    assert deliveries.send_again(WebhookDelivery.objects.all(), NOW) == 1
    assert attempt(NOW, Outcome(200)).attempts == 1


def test_after_a_rotation_both_secrets_sign_for_a_day() -> None:
    hook = endpoint()
    old = hook.secret
    new = deliveries.rotate_secret(hook, NOW)
    deliveries.announce(ended())
    [claimed] = deliveries.claim_due(NOW + timedelta(hours=23), CONFIG, 10)
    assert claimed.message.secrets == (new, old)
    [claimed] = deliveries.claim_due(NOW + timedelta(hours=25), CONFIG, 10)
    assert claimed.message.secrets == (new,)


def test_old_records_are_swept_but_not_what_still_waits() -> None:
    endpoint()
    deliveries.announce(ended())
    later = NOW + timedelta(days=31)
    assert deliveries.sweep(later, CONFIG) == 0
    attempt(NOW, Outcome(200))
    assert deliveries.sweep(NOW + timedelta(days=29), CONFIG) == 0
    assert deliveries.sweep(later, CONFIG) == 1
