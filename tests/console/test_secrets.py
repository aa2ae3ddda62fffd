"""Secrets that the console takes: unreadable in SQL without the keys, and never lost by a key that is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from cache_admin import problems
from responses_api import locked_field
from responses_api.config.schema import RouterConfig, WebhookConfig
from responses_api.listed_backends import read_listed
from responses_api.management.commands import rotate_keys
from responses_api.models import BackendEndpoint, Project, WebhookDelivery, WebhookEndpoint
from responses_api.vault import LockedAwayError
from responses_api.webhooks import deliveries

pytestmark = pytest.mark.django_db

OLD, NEW = "the old key of this installation, long", "the new key of this installation, long"
SECRET = "sk-of-the-backend"

UseKeys = Callable[..., None]


@pytest.fixture
def use_keys(router_config: RouterConfig, monkeypatch: pytest.MonkeyPatch) -> UseKeys:
    def use(*keys: str) -> None:
        config = replace(router_config, encryption_keys=keys)
        for module in (locked_field, rotate_keys):
            monkeypatch.setattr(module, "router_config", lambda: config)

    return use


def make_backend() -> BackendEndpoint:
    return BackendEndpoint.objects.create(name="extra", base_url="http://127.0.0.1:1/v1", api_key=SECRET)


def in_sql() -> str:
    """Every secret as a dump of the database has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM responses_api_backendendpoint")
        found = cursor.fetchall()
        cursor.execute("SELECT secret, old_secret FROM responses_api_webhookendpoint")
        return repr(found + cursor.fetchall())


def rotated() -> str:
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    return out.getvalue().splitlines()[-1]


def test_a_dump_shows_no_secret(use_keys: UseKeys) -> None:
    use_keys(NEW)
    make_backend()
    endpoint = WebhookEndpoint.objects.create(project=Project.objects.first(), url="https://hooks.example/")
    assert SECRET not in in_sql()
    assert endpoint.secret not in in_sql()
    assert WebhookEndpoint.objects.get().secret == endpoint.secret
    (listed,) = read_listed()
    assert listed.endpoint is not None
    assert listed.endpoint.api_key == SECRET


def test_nothing_is_locked_without_a_key_and_an_empty_secret_is_none(use_keys: UseKeys) -> None:
    use_keys()
    make_backend()
    assert SECRET in in_sql()
    use_keys(NEW)
    BackendEndpoint.objects.update(api_key="")
    assert in_sql() == "[('',)]"


@pytest.mark.parametrize("typed", ["locked:", "locked:not base64", "locked:bm90IG91cnM=", "\u00e1"])
@pytest.mark.parametrize("keys", [(), (NEW,)])
def test_what_only_looks_encrypted_is_what_was_typed(use_keys: UseKeys, typed: str, keys: tuple[str, ...]) -> None:
    use_keys()
    BackendEndpoint.objects.create(name="extra", base_url="http://127.0.0.1:1/v1", api_key=typed)
    use_keys(*keys)
    assert BackendEndpoint.objects.get().api_key == typed
    assert problems.of_secrets() == []


def test_keys_are_changed_and_what_was_plain_is_locked(use_keys: UseKeys) -> None:
    use_keys()
    make_backend()
    use_keys(OLD)
    assert BackendEndpoint.objects.get().api_key == SECRET
    assert rotated() == "1 values rewritten, 0 were so already."
    assert SECRET not in in_sql()
    use_keys(NEW, OLD)
    before = in_sql()
    assert rotated() == "1 values rewritten, 0 were so already."
    assert in_sql() != before
    use_keys(NEW)
    assert BackendEndpoint.objects.get().api_key == SECRET
    assert rotated() == "0 values rewritten, 1 were so already."


def test_without_its_key_a_secret_is_neither_read_nor_lost(use_keys: UseKeys, admin_client: Client) -> None:
    use_keys(OLD)
    row = make_backend()
    use_keys(NEW)
    BackendEndpoint.objects.create(name="another", base_url="http://127.0.0.1:2/v1", api_key="sk-of-another")
    assert [each.name for each in read_listed()] == ["another"]
    assert admin_client.get("/admin/responses_api/backendendpoint/").status_code == 200
    page = admin_client.get(f"/admin/responses_api/backendendpoint/{row.pk}/change/")
    assert page.status_code == 500
    text = page.content.decode()
    assert "responses_api_backendendpoint.api_key" in text
    assert "encryption_keys" in text
    assert [each.text.partition(".")[0] for each in problems.of_secrets()] == ["Backend extra is left out"]
    row = BackendEndpoint.objects.get(pk=row.pk)
    with pytest.raises(LockedAwayError), transaction.atomic():
        row.save()
    with pytest.raises(CommandError, match="1 values need a key"):
        rotated()
    use_keys(NEW, OLD)
    assert [each.name for each in read_listed()] == ["another", "extra"]
    assert problems.of_secrets() == []
    assert BackendEndpoint.objects.get(pk=row.pk).api_key == SECRET


def test_a_webhook_whose_secret_is_locked_away_waits_and_says_why(use_keys: UseKeys) -> None:
    use_keys(OLD)
    readable, locked = [
        WebhookEndpoint.objects.create(project=Project.objects.first(), url=f"https://{name}.example/")
        for name in ("readable", "locked")
    ]
    use_keys(NEW)
    WebhookEndpoint.objects.filter(pk=readable.pk).update(secret=readable.secret)
    now, config = timezone.now(), WebhookConfig()
    for endpoint in (locked, readable):
        deliveries.announce_test(endpoint, now)
    (claimed,) = deliveries.claim_due(now, config, 10)
    assert claimed.message.secrets == (readable.secret,)
    delivery = WebhookDelivery.objects.get(endpoint=locked)
    assert (delivery.state, delivery.attempts) == ("pending", 1)
    assert delivery.next_attempt_at > now
    assert "responses_api_webhookendpoint.secret" in delivery.last_error
    assert [each.text.partition(". ")[0] for each in problems.of_secrets()] == [f"Webhook {locked.url} is told nothing"]
    use_keys(NEW, OLD)
    (claimed,) = deliveries.claim_due(delivery.next_attempt_at, config, 10)
    assert claimed.message.secrets == (locked.secret,)


@pytest.mark.parametrize("column", ["secret", "old_secret"])
def test_moved_to_another_column_it_does_not_open(use_keys: UseKeys, column: str) -> None:
    use_keys(NEW)
    make_backend()
    WebhookEndpoint.objects.create(project=Project.objects.first(), url="https://hooks.example/")
    with connection.cursor() as cursor:
        moved = (
            f"UPDATE responses_api_webhookendpoint SET {column} = (SELECT api_key FROM responses_api_backendendpoint)"
        )
        cursor.execute(moved)
    with pytest.raises(LockedAwayError):
        getattr(WebhookEndpoint.objects.get(), column)


def test_a_form_without_a_key_keeps_the_one_there_is(use_keys: UseKeys, admin_client: Client) -> None:
    use_keys(NEW)
    row = make_backend()
    fields: dict[str, Any] = {
        "name": row.name,
        "state": "drained",
        "base_url": row.base_url,
        "weight": 1,
        "api": "chat",
        "max_tokens_field": row.max_tokens_field,
        "api_key": "",
    }
    assert admin_client.post(f"/admin/responses_api/backendendpoint/{row.pk}/change/", fields).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.api_key) == ("drained", SECRET)
