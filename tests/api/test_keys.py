"""Who may ask, and what belongs to whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import openai
import pytest
from django.utils import timezone

from responses_api import api_keys
from responses_api.api import auth
from responses_api.config.schema import RouterConfig
from responses_api.models import ApiKey, Project
from tests.gateway import Gateway

pytestmark = pytest.mark.django_db(transaction=True)
REQUEST = {"model": "m", "input": "hi"}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    auth.forget()


@pytest.fixture
def guarded(router_config: RouterConfig, settings: Any) -> Iterator[Gateway]:
    settings.ROUTER_ALLOW_ANONYMOUS = False
    gateway = Gateway(router_config)
    yield gateway
    gateway.stop()


def key(project: str, **fields: Any) -> tuple[ApiKey, str]:
    return api_keys.create_key(Project.objects.get_or_create(name=project)[0], "test", **fields)


def client(gateway: Gateway, secret: str = "") -> httpx.Client:
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    return httpx.Client(base_url=gateway.base_url, headers=headers, timeout=10)


def test_without_any_key_loopback_is_open(guarded: Gateway) -> None:
    with client(guarded) as anyone, client(guarded, "sk-whatever") as with_some_key:
        assert anyone.post("/responses", json=REQUEST).status_code == 200
        assert with_some_key.post("/responses", json=REQUEST).status_code == 200


def test_once_a_key_exists_every_request_needs_one(guarded: Gateway) -> None:
    _, secret = key("a")
    with client(guarded) as anyone, client(guarded, "rr-wrong-0123456789") as wrong, client(guarded, secret) as right:
        missing = anyone.post("/responses", json=REQUEST)
        assert missing.status_code == 401
        assert missing.json()["error"]["code"] == "invalid_api_key"
        assert missing.headers["www-authenticate"] == "Bearer"
        refused = wrong.post("/responses", json=REQUEST)
        assert refused.status_code == 401
        assert "rr-wrong-0123456789" not in refused.text
        assert right.post("/responses", json=REQUEST).status_code == 200
    with (
        openai.OpenAI(base_url=guarded.base_url, api_key="rr-no", max_retries=0) as sdk,
        pytest.raises(openai.AuthenticationError),
    ):
        sdk.models.list()


def test_revoked_and_expired_keys_are_refused(guarded: Gateway) -> None:
    revoked, revoked_secret = key("a")
    revoked.revoked_at = timezone.now()
    revoked.save()
    _, expired_secret = key("a", lifetime=timedelta(seconds=-1))
    for secret in (revoked_secret, expired_secret):
        with client(guarded, secret) as http:
            assert http.post("/responses", json=REQUEST).status_code == 401


def test_revoking_the_last_key_does_not_open_the_door(guarded: Gateway) -> None:
    last, _ = key("a")
    last.revoked_at = timezone.now()
    last.save()
    with client(guarded) as anyone:
        assert anyone.post("/responses", json=REQUEST).status_code == 401


def test_another_projects_response_is_answered_exactly_like_an_unknown_one(guarded: Gateway) -> None:
    with client(guarded, key("a")[1]) as ours, client(guarded, key("b")[1]) as theirs:
        foreign = theirs.post("/responses", json=REQUEST).json()["id"]
        unknown = "resp_" + "0" * 32

        def answers(response_id: str) -> list[tuple[int, str]]:
            follow_up = {**REQUEST, "previous_response_id": response_id}
            replies = [
                ours.get(f"/responses/{response_id}"),
                ours.get(f"/responses/{response_id}/input_items"),
                ours.delete(f"/responses/{response_id}"),
                ours.post("/responses", json=follow_up),
            ]
            return [(reply.status_code, reply.text.replace(response_id, "ID")) for reply in replies]

        assert answers(foreign) == answers(unknown)
        assert theirs.get(f"/responses/{foreign}").status_code == 200


def test_two_keys_of_one_project_share_its_responses(guarded: Gateway) -> None:
    with client(guarded, key("a")[1]) as one, client(guarded, key("a")[1]) as other:
        response_id = one.post("/responses", json=REQUEST).json()["id"]
        assert other.get(f"/responses/{response_id}").status_code == 200


def test_the_last_use_is_noted(guarded: Gateway) -> None:
    made, secret = key("a")
    with client(guarded, secret) as http:
        http.get("/models")
    deadline = timezone.now() + timedelta(seconds=5)
    time.sleep(0.2)  # SQLite in memory locks its tables: who looks all the time keeps it from being written
    while ApiKey.objects.get(pk=made.pk).last_used_at is None:
        assert timezone.now() < deadline
        time.sleep(0.2)


def test_probes_need_no_key(guarded: Gateway) -> None:
    key("a")
    assert httpx.get(f"{guarded.url}/healthz").status_code == 200
    assert httpx.get(f"{guarded.url}/readyz").status_code == 200


def test_a_request_from_elsewhere_needs_a_key_even_if_none_was_made() -> None:
    assert auth._is_loopback({"server": ("127.0.0.1", 8801)})
    assert auth._is_loopback({"server": ("::1", 8801)})
    assert auth._is_loopback({"server": ("/run/router.sock", None)})
    assert not auth._is_loopback({"server": ("192.168.1.5", 8801)})


def test_a_secret_is_not_kept() -> None:
    made, secret = key("a")
    assert secret.startswith(made.prefix)
    stored = str(ApiKey.objects.filter(pk=made.pk).values().get())
    assert secret not in stored
    assert secret[len(made.prefix) :] not in stored
