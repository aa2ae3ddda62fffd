"""`requirements.txt` alone is enough for every process that `./run` starts: the suite itself runs with more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.launcher.running_site import ROOT, environ

pytestmark = pytest.mark.processes

STARTS = """
import router_site.asgi
from router_site.celery import app
from responses_api.demo_backend import server
app.finalize()
# As a worker does before anything else: this is where the broker's transport is imported.
app.connection_for_read().transport_cls
app.connection_for_read().transport
"""


def test_nothing_is_missing(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, venv], check=True, timeout=60)
    python = venv / "bin" / "python"
    install = [*uv, "pip", "install", "--python", python, "--require-hashes", "--requirement", "requirements.txt"]
    subprocess.run(install, cwd=ROOT, check=True, timeout=300)
    started = subprocess.run(
        [python, "-c", STARTS],
        cwd=ROOT,
        env=environ() | {"ROUTER_VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 0, started.stderr
