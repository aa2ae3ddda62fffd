"""`./manage.py`, as the README has it: with the Python that there is, which knows nothing of Django."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launcher.running_site import ROOT

# Without its packages, a Python like that of a machine on which only `./run` was called.
BARE = [sys.executable, "-S"]


@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="the tests run in an environment of their own")
def test_what_run_has_prepared_is_used() -> None:
    done = subprocess.run([*BARE, "manage.py", "--version"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("5.2")


def test_before_run_it_says_what_to_do(tmp_path: Path) -> None:
    shutil.copy(ROOT / "manage.py", tmp_path)
    done = subprocess.run([*BARE, "manage.py", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "./run --prepare" in done.stderr
