"""`manage.py check_config`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command


def check(path: Path) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("check_config", str(path), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_it_prints_what_is_in_force_with_secrets_masked(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("""
response_api: {store_backend: redis, redis: {password: hunter2}}
backends: [{name: a, base_url: "http://me:hunter2@h/v1", api_key: hunter2, headers: {x-key: hunter2}}]
colour: red
""")
    out, err = check(path)
    shown = yaml.safe_load(out)
    assert "hunter2" not in out + err
    assert shown["response_api"]["redis"]["password"] == "****"
    assert shown["response_api"]["ttl_seconds"] == 2_592_000
    assert shown["backends"][0]["base_url"] == "http://****@h/v1"
    assert shown["backends"][0]["headers"] == {"x-key": "****"}
    assert shown["response_api"]["redis"]["username"] == ""
    assert "unknown key 'colour'" in err


def test_a_secret_that_is_not_set_is_shown_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("backends: [{name: a, base_url: 'http://h/v1', models: ['@cf/meta/llama']}]")
    shown = yaml.safe_load(check(path)[0])
    assert shown["response_api"]["redis"]["password"] == ""
    assert (shown["backends"][0]["api_key"], shown["backends"][0]["headers"]) == ("", {})
    assert shown["backends"][0]["models"] == ["@cf/meta/llama"]


def test_credentials_in_a_url_are_masked_whatever_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("backends: [{name: a, base_url: 'http://me:hun@ter2@h/v1'}]")
    assert "base_url: http://****@h/v1" in check(path)[0]


def test_it_fails_with_one_line_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("response_api: {ttl_seconds: -1, max_responses: 0}")
    with pytest.raises(CommandError) as caught:
        check(path)
    assert [line.split(" = ")[0] for line in str(caught.value).splitlines()] == [
        "The configuration cannot be used:",
        "response_api.ttl_seconds",
        "response_api.max_responses",
    ]


def test_its_file_is_the_one_that_the_settings_name(tmp_path: Path, settings: Any) -> None:
    settings.ROUTER_CONFIG = tmp_path / "config.yaml"
    settings.ROUTER_CONFIG.write_text("max_body_bytes: 12345")
    out = StringIO()
    call_command("check_config", stdout=out)
    assert yaml.safe_load(out.getvalue())["max_body_bytes"] == 12345
