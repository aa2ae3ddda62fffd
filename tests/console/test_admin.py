"""Django's admin for projects, keys and the index."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from responses_api.api_keys import create_key, find_active_key
from responses_api.index_drain import write
from responses_api.index_entry import IndexEntry
from responses_api.models import ApiKey, Project

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(admin_client: Client) -> Client:
    return admin_client


def test_a_key_is_made_and_its_secret_shown_once(browser: Client) -> None:
    project = Project.objects.get(public_id="default")
    form = {"project": project.pk, "name": "laptop", "expires_at_0": "", "expires_at_1": ""}
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


@pytest.mark.parametrize("query", ["resp_7", "resp_7a", "req_7"])
def test_responses_are_found_by_id_or_request_id(
    browser: Client, query: str, django_assert_max_num_queries: Any
) -> None:
    now = timezone.now().timestamp()
    write([IndexEntry(id=f"resp_{n}abc", request_id=f"req_{n}", project="p", created_at=now) for n in range(60)])
    with django_assert_max_num_queries(12):
        page = browser.get("/admin/responses_api/responseindex/", {"q": query}).content.decode()
    assert "resp_7abc" in page
    assert "resp_8abc" not in page


def test_rows_can_be_looked_at_but_not_touched(browser: Client) -> None:
    write([IndexEntry(id="resp_1", project="p", created_at=timezone.now().timestamp())])
    assert browser.get("/admin/responses_api/responseindex/resp_1/change/").status_code == 200
    assert browser.get("/admin/responses_api/responseindex/add/").status_code == 403
    assert browser.post("/admin/responses_api/responseindex/resp_1/delete/").status_code == 403


def test_nobody_sees_it_without_logging_in(client: Client) -> None:
    assert client.get("/admin/responses_api/apikey/").status_code == 302
