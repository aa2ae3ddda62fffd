"""The configuration is checked at every start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from responses_api import configured
from responses_api.apps import check_configuration


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    configured.loaded.cache_clear()
    yield
    configured.loaded.cache_clear()


def test_a_wrong_configuration_is_an_error_with_a_hint(tmp_path: Path, settings: Any) -> None:
    settings.ROUTER_CONFIG = tmp_path / "config.yaml"
    settings.ROUTER_CONFIG.write_text("response_api: {ttl_seconds: -1}\ncolour: red")
    (error,) = check_configuration()
    assert (error.id, error.hint) == ("responses_api.E001", "Use 0 or more")


def test_unknown_keys_are_warnings(tmp_path: Path, settings: Any) -> None:
    settings.ROUTER_CONFIG = tmp_path / "config.yaml"
    settings.ROUTER_CONFIG.write_text("colour: red")
    (warning,) = check_configuration()
    assert warning.id == "responses_api.W001"


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path, settings: Any) -> None:
    settings.ROUTER_CONFIG = tmp_path / "nowhere.yaml"
    assert [error.id for error in check_configuration()] == ["responses_api.E001"]
