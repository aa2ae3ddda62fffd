"""Webhook endpoints and deliveries in the console."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from responses_api.background.shapes import Ended
from responses_api.models import Project, WebhookDelivery, WebhookEndpoint
from responses_api.webhooks import deliveries

pytestmark = pytest.mark.django_db

ENDPOINTS = "/admin/responses_api/webhookendpoint/"
DELIVERIES = "/admin/responses_api/webhookdelivery/"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending is the worker's, and tested with it; here only what is written down counts."""
    monkeypatch.setattr("responses_api.tasks.send_webhooks_soon", lambda: None)


def add(client: Client, url: str, **fields: Any) -> str:
    project = Project.objects.get(public_id="default")
    form = {"project": project.pk, "url": url, "is_active": "on", **fields}
    return client.post(f"{ENDPOINTS}add/", form, follow=True).content.decode()


def test_the_secret_is_shown_when_it_is_made_and_not_again(admin_client: Client) -> None:
    page = add(admin_client, "https://hooks.example.com/", events=["response.failed"])
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.secret in page
    assert endpoint.events == ["response.failed"]
    for path in (ENDPOINTS, f"{ENDPOINTS}{endpoint.pk}/change/"):
        assert "whsec_" not in admin_client.get(path).content.decode()
    page = admin_client.post(
        ENDPOINTS, {"action": "rotate_secret", "_selected_action": [endpoint.pk]}, follow=True
    ).content.decode()
    rotated = WebhookEndpoint.objects.get()
    assert rotated.secret != endpoint.secret == rotated.old_secret
    assert rotated.secret in page


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://127.0.0.1/", "https://[::1]/", "nonsense"])
def test_what_would_never_be_called_is_refused_at_once(admin_client: Client, url: str) -> None:
    page = add(admin_client, url)
    assert re.search("This would never be called: not an? (https|public)", page)
    assert "allow_private_addresses" in page
    assert not WebhookEndpoint.objects.exists()


def test_a_test_event_goes_to_those_that_are_on(admin_client: Client) -> None:
    add(admin_client, "https://hooks.example.com/")
    add(admin_client, "https://off.example.com/")
    WebhookEndpoint.objects.filter(url__contains="off").update(is_active=False)
    chosen = list(WebhookEndpoint.objects.values_list("pk", flat=True))
    page = admin_client.post(ENDPOINTS, {"action": "send_test", "_selected_action": chosen}, follow=True)
    assert "1 not sent: switched off" in page.content.decode()
    assert WebhookDelivery.objects.get().endpoint.url == "https://hooks.example.com/"


def test_deliveries_are_read_and_sent_again_by_those_who_may(admin_client: Client, client: Client) -> None:
    add(admin_client, "https://hooks.example.com/")
    now = timezone.now()
    deliveries.announce(Ended("default", "resp_7", "completed", now.timestamp()))
    WebhookDelivery.objects.update(state="failed", attempts=10, last_status=500)
    delivery = WebhookDelivery.objects.get()
    again = {"action": "send_again", "_selected_action": [delivery.pk]}

    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_webhookdelivery"))
    client.force_login(reader)
    assert "resp_7" in client.get(DELIVERIES).content.decode()
    client.post(DELIVERIES, again, follow=True)
    assert WebhookDelivery.objects.get().state == "failed"

    admin_client.post(DELIVERIES, again, follow=True)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("pending", 0)
    assert admin_client.post(f"{DELIVERIES}{delivery.pk}/delete/").status_code == 403
    assert admin_client.get(f"{DELIVERIES}?q=resp_7").content.decode().count("resp_7") >= 1
