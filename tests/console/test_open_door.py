"""Nothing an operator can click makes the gateway take itself for a new one, open to anyone on loopback."""

from __future__ import annotations

import pytest
from django.test import Client

from responses_api.api_keys import any_key_exists, create_key
from responses_api.models import Project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return Project.objects.get(public_id="default")


def test_the_last_key_cannot_be_deleted(admin_client: Client, project: Project) -> None:
    key, _ = create_key(project, "only")
    answer = admin_client.post(f"/admin/responses_api/apikey/{key.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 403
    assert any_key_exists()


def test_nor_can_its_project(admin_client: Client, project: Project) -> None:
    create_key(project, "only")
    answer = admin_client.post(f"/admin/responses_api/project/{project.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 403
    assert any_key_exists()
