"""Every route of the API, asked by nobody, by a stranger, with a revoked key, and by another project."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from responses_api import api_keys
from responses_api.api import auth, urls
from responses_api.api.base import PublicView
from responses_api.config.schema import RouterConfig
from responses_api.models import ApiKey, Project
from tests.gateway import Gateway

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"model": "m", "input": "mine"}
ROUTES = [
    (f"/{route.pattern}", method)
    for route in urls.urlpatterns
    for method in ("get", "post", "delete")
    if hasattr(route.callback.cls, method) and not issubclass(route.callback.cls, PublicView)  # type: ignore[attr-defined]
]
OWNED = [(path, method) for path, method in ROUTES if "response_id" in path or "conversation_id" in path]


def secret_of(project: str, **fields: Any) -> str:
    return api_keys.create_key(Project.objects.get_or_create(name=project)[0], "test", **fields)[1]


@pytest.fixture
def guarded(router_config: RouterConfig, settings: Any) -> Iterator[Gateway]:
    settings.ROUTER_ALLOW_ANONYMOUS = False
    auth.forget()
    gateway = Gateway(router_config)
    yield gateway
    gateway.stop()


def ask(gateway: Gateway, secret: str, path: str, method: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=10) as client:
        return client.request(method, path, json=BODY if method == "post" else None)


def test_the_matrix_is_not_empty() -> None:
    assert len(ROUTES) >= 25
    assert len(OWNED) >= 9


def test_without_a_key_that_holds_nothing_is_told(guarded: Gateway) -> None:
    secret_of("owner")
    expired = secret_of("owner", lifetime=timedelta(seconds=-1))
    revoked = secret_of("owner")
    ApiKey.objects.filter(digest=api_keys.digest(revoked)).update(revoked_at=timezone.now())
    for path, method in ROUTES:
        filled = path.replace("<str:", "").replace("<path:", "").replace(">", "")
        for secret in ("", "sk-not-ours", "rr-wrong-0123456789", expired, revoked):
            answer = ask(guarded, secret, filled, method)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key"), (path, method)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_what_is_anothers_is_like_what_is_not(guarded: Gateway) -> None:
    """Same status, same words: not even that it exists is told."""
    owner, stranger = secret_of("owner"), secret_of("stranger")
    response = ask(guarded, owner, "/v1/responses", "post").json()["id"]
    conversation = ask(guarded, owner, "/v1/conversations", "post").json()["id"]
    item = response.replace("resp_", "msg_") + "000000"
    unknown = {response: "resp_" + "0" * 24, conversation: "conv_" + "0" * 24, item: "msg_" + "0" * 30}
    for path, method in OWNED:
        real = path.replace("<str:response_id>", response).replace("<str:conversation_id>", conversation)
        real = real.replace("<str:item_id>", item)
        other = real
        for mine, nobodys in unknown.items():
            other = other.replace(mine, nobodys)
        seen, expected = ask(guarded, stranger, real, method), ask(guarded, stranger, other, method)
        told = seen.text
        for mine, nobodys in unknown.items():
            told = told.replace(mine, nobodys)
        assert (seen.status_code, told) == (expected.status_code, expected.text), (path, method)
        assert seen.status_code in (400, 404)
    for path in (f"/v1/responses/{response}", f"/v1/conversations/{conversation}"):
        assert ask(guarded, owner, path, "get").status_code == 200
    for field, value in (("previous_response_id", response), ("conversation", conversation)):
        with httpx.Client(base_url=guarded.base_url, headers={"authorization": f"Bearer {stranger}"}) as client:
            assert client.post("/responses", json={**BODY, field: value}).status_code in (400, 404)
