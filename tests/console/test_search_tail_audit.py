"""One box for every id, requests as they end, and the book of who did what."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from cache_admin import access
from cache_admin.models import OperatorAction
from responses_api.admin.projects import LIMITS
from responses_api.api_keys import create_key
from responses_api.models import BackendEndpoint, Project
from tests.console.conftest import Console
from tests.console.test_responses import text_of

NO_LIMITS = dict.fromkeys(LIMITS, 0)


def found_at(client: Client, asked: str) -> str:
    answer = client.get("/admin/search/", {"q": asked})
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    return str(answer.headers["location"])


def test_whole_ids_lead_to_their_pages(console: Console, operator: Client, django_assert_max_num_queries: Any) -> None:
    conversation = console.http.post("/conversations", json={}).json()["id"]
    answer = console.send({"model": "m", "input": "hi", "conversation": conversation}, x_cache_key="k")
    response, entry = answer.json(), answer.headers["x-cache-entry"]
    unused = console.http.post("/conversations", json={}).json()["id"]
    with django_assert_max_num_queries(12):
        assert found_at(operator, response["id"]) == f"/admin/responses/{response['id']}/"
    assert found_at(operator, f"  {entry} ") == f"/admin/cache/entries/{entry}/"
    assert found_at(operator, answer.headers["x-request-id"]) == f"/admin/responses/{response['id']}/"
    for each in (conversation, unused):
        assert found_at(operator, each) == f"/admin/conversations/{each}/"
    assert found_at(operator, response["id"][:14]) == f"/admin/responses/{response['id']}/"
    assert found_at(operator, conversation[:14]) == f"/admin/conversations/{conversation}/"


def test_several_are_listed(console: Console, operator: Client) -> None:
    ids = {console.ask()["id"] for _ in range(3)}
    page = text_of(operator, "/admin/search/?q=resp_")
    assert all(each in page for each in ids)


def test_keys_projects_and_backends_by_their_names(as_role: Any) -> None:
    admin, operator = as_role(access.ADMIN), as_role(access.OPERATOR)
    project = Project.objects.create(name="payments")
    key, secret = create_key(project, "laptop")
    BackendEndpoint.objects.create(name="gpu-7", base_url="http://h:1/v1")
    assert found_at(admin, secret[:9]) == f"/admin/responses_api/apikey/{key.pk}/change/"
    # A whole secret, pasted, finds its key as well, and is not shown.
    assert found_at(admin, secret) == f"/admin/responses_api/apikey/{key.pk}/change/"
    assert found_at(admin, "pay") == f"/admin/responses_api/project/{project.pk}/change/"
    assert found_at(admin, project.public_id) == f"/admin/responses_api/project/{project.pk}/change/"
    assert found_at(operator, "gpu") == "/admin/backends/"


@pytest.mark.parametrize(
    "asked", ["nothing", "re", "", "resp_%", "'; drop table", "\x00", "x" * 500, "conv_" + "0" * 24]
)
def test_nonsense_finds_nothing(console: Console, operator: Client, asked: str) -> None:
    assert operator.get("/admin/search/", {"q": asked}).status_code == 200


def test_the_tail_tells_each_request_once(console: Console, viewer: Client) -> None:
    before = console.ask()
    page = text_of(viewer, "/admin/tail/")
    assert before["id"] in page
    after = page.partition('data-after="')[2].partition('"')[0]
    first, second = console.ask(), console.ask()
    told = viewer.get(f"/admin/tail/since/{after}/").json()
    assert told["count"] == 2
    assert told["rows"].index(second["id"]) < told["rows"].index(first["id"])
    nothing = viewer.get(f"/admin/tail/since/{told['after']}/").json()
    assert (nothing["count"], nothing["after"]) == (0, told["after"])
    assert viewer.get("/admin/tail/since/nonsense/").status_code == 400


def test_nobody_looks_nothing_is_written(console: Console) -> None:
    console.ask()
    assert not console.redis.exists(f"{console.prefix}tail")


def test_forms_are_in_the_audit_too(as_role: Any) -> None:
    admin = as_role(access.ADMIN)
    project = Project.objects.get(public_id="default")
    admin.post("/admin/responses_api/apikey/add/", {"project": project.pk, "name": "laptop", **NO_LIMITS})
    admin.post("/admin/responses_api/project/add/", {"name": "payments", **NO_LIMITS})
    page = text_of(admin, "/admin/audit/")
    assert "laptop" in page
    assert "project payments" in page
    assert OperatorAction.objects.count() == 2
    assert "laptop" not in text_of(admin, "/admin/audit/?target=project")
    for query in ("name=console-admin", "action=add", "before=99999", "before=x", "action=none"):
        assert admin.get(f"/admin/audit/?{query}").status_code == 200


def test_pages_of_the_audit(admin_client: Client, django_assert_max_num_queries: Any) -> None:
    OperatorAction.objects.bulk_create(
        OperatorAction(name="eve", action="drain", target=f"backend-{number}") for number in range(150)
    )
    with django_assert_max_num_queries(12):
        page = text_of(admin_client, "/admin/audit/")
    assert "backend-149" in page
    assert "backend-49<" not in page
    older = page.partition('href="?before=')[2].partition('"')[0]
    assert "backend-49" in text_of(admin_client, f"/admin/audit/?before={older}")


PAGES = (
    "", "responses/", "tail/", "conversations/", "cache/", "cache/entries/", "cache/explain/", "backends/", "redis/",
    "workers/", "search/?q=resp_",
)  # fmt: skip


@pytest.mark.parametrize("role", [access.VIEWER, access.OPERATOR, access.ADMIN])
def test_roles_see_their_pages(console: Console, as_role: Any, role: str) -> None:
    client = as_role(role)
    for page in PAGES:
        assert client.get(f"/admin/{page}").status_code == 200, page
    acts = {"playground/": role != access.VIEWER, "cache/purge/": role != access.VIEWER, "audit/": True}
    changes = {"responses_api/apikey/add/": role == access.ADMIN, "auth/user/": role == access.ADMIN}
    for page, allowed in {**acts, **changes, "responses_api/apikey/": True}.items():
        assert client.get(f"/admin/{page}").status_code == (200 if allowed else 403), page
    menu = text_of(client, "/admin/")
    assert ("Playground" in menu) is (role != access.VIEWER)
    assert ("Users" in menu) is (role == access.ADMIN)


def test_nobody_without_a_role_sees_anything(console: Console, client: Client) -> None:
    User.objects.create_user("staff", password="x", is_staff=True)
    nobody = Client()
    nobody.login(username="staff", password="x")
    for page in (*PAGES, "audit/", "playground/", "reveal/"):
        assert client.get(f"/admin/{page}").status_code == 302
        assert nobody.get(f"/admin/{page}").status_code == 403


def test_a_role_keeps_what_it_was_given(db: None) -> None:
    viewer = Group.objects.get(name=access.VIEWER)
    extra = Permission.objects.get(codename="add_project")
    viewer.permissions.add(extra)
    access.make_roles()
    assert extra in viewer.permissions.all()


def test_the_policy_is_on_every_page_of_the_console(admin_client: Client) -> None:
    for path in ("/admin/", "/admin/login/", "/admin/responses_api/apikey/", "/admin/no-such-page/"):
        policy = admin_client.get(path).headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
    assert "content-security-policy" not in admin_client.get("/docs/").headers
