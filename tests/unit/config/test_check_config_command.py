"""`manage.py check_config`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

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
    assert "unknown key 'colour'" in err


def test_it_fails_with_one_line_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("response_api: {ttl_seconds: -1, max_responses: 0}")
    with pytest.raises(CommandError) as caught:
        check(path)
    assert len(str(caught.value).splitlines()) == 2
