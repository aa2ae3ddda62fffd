"""The `openai-agents` SDK against what `./run` starts: `agents/exercise.py` does the talking."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "agents"

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("clients")]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with the SDK installed."""
    directory = tmp_path_factory.mktemp("agents") / "venv"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, directory], check=True, timeout=60)
    python = directory / "bin" / "python"
    install = [*uv, "pip", "install", "--python", python, "--requirement", HERE / "requirements.txt"]
    subprocess.run(install, check=True, timeout=180)
    return python


def test_it_works(python: Path, base_url: str) -> None:
    told = subprocess.run(
        [python, HERE / "exercise.py", base_url], capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("ok ") == 4
