"""A console of a gateway without Redis: pages say what there is not, and show what there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from responses_api.config.schema import RedisConfig, ResponseApiConfig, RouterConfig
from tests.console_beside import console_beside
from tests.gateway import Gateway

PAGES = (
    "", "responses/", "tail/", "conversations/", "search/?q=resp_000", "backends/", "backends/fake/", "redis/",
    "workers/", "audit/", "playground/",
)  # fmt: skip


@pytest.fixture
def gateway(router_config: RouterConfig, settings: Any) -> Iterator[Gateway]:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    config = replace(router_config, response_api=ResponseApiConfig(store_backend="memory", redis=RedisConfig()))
    gateway = Gateway(config)
    with console_beside(gateway, config):
        yield gateway
    gateway.stop()


def test_every_page_opens(gateway: Gateway, admin_client: Client) -> None:
    for page in PAGES:
        assert admin_client.get(f"/admin/{page}").status_code == 200, page
    assert "No Redis is configured" in admin_client.get("/admin/redis/").content.decode()
    assert "There is no cache" in admin_client.get("/admin/cache/").content.decode()
    assert "There is no cache" in admin_client.get("/admin/cache/entries/").content.decode()


def test_what_memory_holds_can_be_read(gateway: Gateway, admin_client: Client, http: Any) -> None:
    response = http.post("/responses", json={"model": "m", "input": "What is it?"}).json()
    conversation = http.post("/conversations", json={"items": [{"role": "user", "content": "hi"}]}).json()
    admin_client.post("/admin/reveal/", {"revealed": "1"})
    page = admin_client.get(f"/admin/responses/{response['id']}/").content.decode()
    assert "It is not in the index" in page
    assert "What is it?" in admin_client.get(f"/admin/responses/{response['id']}/exchange/").content.decode()
    assert (
        "<dt>items</dt><dd>1</dd>" in admin_client.get(f"/admin/conversations/{conversation['id']}/").content.decode()
    )
    assert admin_client.get("/admin/search/", {"q": conversation["id"]}).status_code == 302
