"""`run` until it becomes the launcher, in a copy of what it needs, with requirements that need no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.launcher.running_site import ROOT, environ


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "router_site", tmp_path / "router_site")
    shutil.copy(ROOT / "run", tmp_path)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    (tmp_path / "requirements-dev.txt").write_text("# nothing, for developers\n")
    return tmp_path


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With uv on PATH, which makes an environment in a moment."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        command(root, *arguments), env=environ() | {"PATH": path}, capture_output=True, text=True, check=False
    )


def command(root: Path, *arguments: str) -> list[str]:
    """By the Python that made our own environment: none of its packages are there."""
    return [str(Path(sys.executable).resolve()), str(root / "run"), *arguments]


def test_it_installs_once(root: Path) -> None:
    first = run(root, "--prepare")
    assert first.returncode == 0, first.stderr
    assert "Preparing .venv from requirements.txt" in first.stdout
    assert (root / ".venv" / "bin" / "python").exists()

    begun = time.monotonic()
    second = run(root, "--prepare")
    assert (second.returncode, second.stdout) == (0, "")
    assert time.monotonic() - begun < 1

    (root / "requirements.txt").write_text("# nothing yet\n")
    assert "Preparing .venv from requirements.txt" in run(root, "--prepare").stdout


def test_what_is_enough_for_development_is_enough_for_running(root: Path) -> None:
    assert "requirements-dev.txt" in run(root, "--prepare", "--dev").stdout
    assert run(root, "--prepare").stdout == ""


def test_an_interrupted_installation_is_begun_afresh(root: Path) -> None:
    run(root, "--prepare")
    (root / ".venv" / ".installing").touch()
    (root / ".venv" / "half-made").touch()
    assert "Preparing" in run(root, "--prepare").stdout
    assert not (root / ".venv" / "half-made").exists()


def test_an_environment_made_by_hand_is_completed(root: Path) -> None:
    run(root, "--prepare")
    (root / ".venv" / ".requirements").unlink()
    (root / ".venv" / "by-hand").touch()
    assert "Preparing" in run(root, "--prepare").stdout
    assert (root / ".venv" / "by-hand").exists()


def test_without_uv_pip_does_it_and_two_at_once_install_once(root: Path) -> None:
    processes = [
        subprocess.Popen(command(root, "--prepare"), env=environ(), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = sorted(process.communicate()[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert said[0].startswith("Another ./run is preparing .venv")
    assert said[1].startswith("Preparing .venv")


def test_a_failed_installation_says_why_and_counts_for_nothing(root: Path) -> None:
    (root / "requirements.txt").write_text("no-such-package==1.0\n")
    result = run(root, "--prepare")
    assert result.returncode == 1
    assert "Could not install what requirements.txt lists (see above)." in result.stderr
    assert "no-such-package" in result.stderr
    assert not (root / ".venv" / ".requirements").exists()


def test_an_old_python_is_told_what_is_needed(root: Path) -> None:
    """The guard alone, by a Python that claims to be old."""
    pretend = f"import sys; sys.version_info = (3, 6, 9); exec(open({str(root / 'run')!r}).read())"
    result = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("responses-router needs Python 3.11 or newer; this is 3.6")
