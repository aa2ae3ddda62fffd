from __future__ import annotations

from pathlib import Path

import pytest

from router_site.launcher.options import parse_options


def test_paths_are_meant_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = parse_options(["--config", "my.yaml", "--var", "data"], environ={})
    assert options.config == tmp_path / "my.yaml"
    assert options.var == tmp_path / "data"


def test_the_environment_gives_defaults_and_options_win() -> None:
    environ = {"ROUTER_CONFIG": "/etc/router.yaml", "ROUTER_VAR_DIR": "/srv/router", "WEB_CONCURRENCY": "3"}
    options = parse_options(["--var", "/tmp/other"], environ)
    assert options.config == Path("/etc/router.yaml")
    assert options.var == Path("/tmp/other")
    assert options.workers == 3


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "65536"], ["--workers", "0"], ["--verb"]])
def test_wrong_options_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse_options(arguments, environ={})
    assert refused.value.code == 2
    assert arguments[0] in capsys.readouterr().err
