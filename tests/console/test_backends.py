"""Backends in the console: what could not work is refused, keys are never shown, drained means drained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from responses_api import listed_backends
from responses_api.backends.registry import Endpoint, Listed, Registry
from responses_api.config.schema import BackendConfig, RouterConfig, VllmEndpoint
from responses_api.errors import BackendUnavailable
from responses_api.models import BackendEndpoint

ADD = "/admin/responses_api/backendendpoint/add/"
LIST = "/admin/responses_api/backendendpoint/"
FIELDS = {"state": "active", "weight": "1", "api": "chat", "max_tokens_field": "max_completion_tokens"}
CONFIG = RouterConfig(
    backends=(BackendConfig("configured", "http://h:1/v1"),), vllm_endpoints=(VllmEndpoint("gpu", "h", 2),)
)


@pytest.fixture(autouse=True)
def _config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_backends, "router_config", lambda: CONFIG)


def registry() -> Registry:
    made = Registry(CONFIG)
    made.apply(listed_backends.read_listed())
    return made


@pytest.mark.django_db
def test_a_backend_is_added_and_serves(admin_client: Client) -> None:
    fields = {**FIELDS, "name": "new", "base_url": "http://h:9/v1/", "served_models": "m1\nm2", "api_key": "sk-secret"}
    assert admin_client.post(ADD, fields).status_code == 302
    expected = Endpoint("new", "http://h:9/v1", api_key="sk-secret", models=("m1", "m2"), timeouts=CONFIG.timeouts)
    assert listed_backends.read_listed() == [Listed("new", False, expected)]
    assert registry().endpoints_for("m2") == [expected]
    assert {each.name for each in registry().endpoints_for("other")} == {"configured", "gpu"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "unknown"}, "The configuration has no backend"),
        ({"name": "configured", "base_url": "http://h:9/v1"}, "is changed there; here it can be drained"),
        ({"name": "new", "base_url": "h:9"}, "is no http URL"),
        ({"name": "new", "base_url": "http://h:9/v1", "api_key": "a\r\nx-evil: 1"}, "line break"),
        ({"name": "new", "base_url": "http://h:9/v1", "weight": "-1"}, "greater than or equal to 0"),
    ],
)
def test_what_could_not_work_is_refused(admin_client: Client, fields: dict[str, str], words: str) -> None:
    answer = admin_client.post(ADD, {**FIELDS, **fields})
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not BackendEndpoint.objects.exists()


@pytest.mark.django_db
def test_a_key_is_kept_and_never_shown(admin_client: Client) -> None:
    row = BackendEndpoint.objects.create(name="new", base_url="http://h:9/v1", api_key="sk-secret")
    page = f"{LIST}{row.pk}/change/"
    for shown in (admin_client.get(page), admin_client.get(LIST)):
        assert "sk-secret" not in shown.content.decode()
    change: dict[str, Any] = {**FIELDS, "name": "new", "base_url": "http://h:10/v1"}
    assert admin_client.post(page, change).status_code == 302
    row.refresh_from_db()
    assert (row.base_url, row.api_key) == ("http://h:10/v1", "sk-secret")
    admin_client.post(page, {**change, "api_key": "sk-other"})
    row.refresh_from_db()
    assert row.api_key == "sk-other"


@pytest.mark.django_db
def test_a_configured_backend_is_drained_and_activated(admin_client: Client) -> None:
    for name in ("configured", "gpu"):
        assert admin_client.post(ADD, {**FIELDS, "name": name}).status_code == 302
    chosen = {"_selected_action": [row.pk for row in BackendEndpoint.objects.all()]}
    admin_client.post(LIST, {**chosen, "action": "drain"})
    assert registry().is_drained("configured")
    with pytest.raises(BackendUnavailable, match="drained"):
        registry().endpoints_for("m")
    admin_client.post(LIST, {**chosen, "action": "activate"})
    assert len(registry().endpoints_for("m")) == 2


def test_a_name_of_the_configuration_stays_its_own() -> None:
    made = Registry(CONFIG)
    foreign = Endpoint("configured", "http://elsewhere/v1")
    assert made.apply([Listed("configured", False, foreign)])
    assert "http://elsewhere/v1" not in {each.base_url for each in made.endpoints}
    assert not made.apply([Listed("configured", False, replace(foreign))])
