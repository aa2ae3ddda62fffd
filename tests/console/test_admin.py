"""Django's admin for projects, keys and the index."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from responses_api.admin.projects import LIMITS
from responses_api.api_keys import create_key, find_active_key
from responses_api.models import ApiKey, Project

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(admin_client: Client) -> Client:
    return admin_client


def test_a_key_is_made_and_its_secret_shown_once(browser: Client) -> None:
    project = Project.objects.get(public_id="default")
    limits = dict.fromkeys(LIMITS, 0)
    form = {"project": project.pk, "name": "laptop", "expires_at_0": "", "expires_at_1": "", **limits}
    page = browser.post("/admin/responses_api/apikey/add/", form, follow=True)
    found = re.search(r"shown this once: (rr-[\w-]+)", page.content.decode())
    assert found is not None
    key = find_active_key(found[1])
    assert key is not None
    assert key.name == "laptop"
    assert found[1] not in browser.get("/admin/responses_api/apikey/").content.decode()
    assert found[1] not in browser.get(f"/admin/responses_api/apikey/{key.pk}/change/").content.decode()


def test_keys_are_revoked_from_the_list(browser: Client) -> None:
    key, secret = create_key(Project.objects.get(public_id="default"), "laptop")
    browser.post("/admin/responses_api/apikey/", {"action": "revoke", "_selected_action": [key.pk]}, follow=True)
    assert ApiKey.objects.get().state == "revoked"
    assert find_active_key(secret) is None


def test_nobody_sees_it_without_logging_in(client: Client) -> None:
    assert client.get("/admin/responses_api/apikey/").status_code == 302
