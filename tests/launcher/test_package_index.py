"""pip's settings without pip, and pip from an index."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from router_site.launcher import package_index
from router_site.launcher.problems import StartError

WHEEL = b"as good as a wheel"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An index of files that has pip under the name we want."""
    monkeypatch.setattr(package_index, "PIP_SHA256", hashlib.sha256(WHEEL).hexdigest())
    name = package_index.PIP_WHEEL
    (tmp_path / "simple" / "pip").mkdir(parents=True)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).write_bytes(WHEEL)
    page = f'<a href="../../files/old-{name}">old</a> <a href="../../files/{name}#sha256=0">{name}</a>'
    (tmp_path / "simple" / "pip" / "index.html").write_text(page)
    return (tmp_path / "simple").as_uri()


def test_the_environment_wins_over_files(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex_url = http://one/simple\ncert = /ca.pem\n[install]\nretries = 9\n"
    )
    environ = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_INDEX_URL": "http://two/simple", "HOME": "/none"}
    settings = package_index.pip_settings(environ)
    assert settings["index-url"] == "http://two/simple"
    assert settings["cert"] == "/ca.pem"
    assert settings["retries"] == "9"


def test_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("index-url")
    assert "index-url" not in package_index.pip_settings({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})


def test_uv_is_told_pips_settings() -> None:
    settings = {"index-url": "http://one/simple", "extra-index-url": "http://two/simple\nhttp://three/simple"}
    told = package_index.uv_environ(settings, {})
    assert told["UV_DEFAULT_INDEX"] == "http://one/simple"
    assert told["UV_INDEX"] == "http://two/simple http://three/simple"


def test_uvs_own_indexes_stay() -> None:
    told = package_index.uv_environ({"index-url": "http://one/simple"}, {"UV_DEFAULT_INDEX": "http://two/simple"})
    assert "UV_DEFAULT_INDEX" not in told


def test_pip_comes_from_the_configured_index(index: str, tmp_path: Path) -> None:
    settings = {"index-url": "file:///nowhere/simple", "extra-index-url": index}
    assert package_index.fetch_pip(settings, tmp_path).read_bytes() == WHEEL


def test_a_wheel_with_another_hash_is_refused(index: str, tmp_path: Path) -> None:
    (tmp_path / "files" / package_index.PIP_WHEEL).write_bytes(b"tampered with")
    with pytest.raises(StartError, match=r"did not give pip-.*apt install python3-venv"):
        package_index.fetch_pip({"index-url": index}, tmp_path)
    assert not (tmp_path / package_index.PIP_WHEEL).exists()


def test_without_an_index_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"no package index is configured.*apt install python3-venv"):
        package_index.fetch_pip({}, tmp_path)
