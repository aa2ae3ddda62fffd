"""The official JavaScript client against what `./run` starts: `javascript/exercise.mjs` does the talking."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "javascript"

pytestmark = [
    pytest.mark.xdist_group("clients"),
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here; it wants Node.js 20 or later"),
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with the client installed: the working tree stays as it is."""
    package = tmp_path_factory.mktemp("javascript")
    for name in ("package.json", "package-lock.json", ".npmrc", "exercise.mjs"):
        shutil.copy(HERE / name, package)
    subprocess.run(["npm", "ci", "--no-progress"], cwd=package, check=True, capture_output=True, timeout=120)
    return package


def test_it_works(package: Path, base_url: str) -> None:
    told = subprocess.run(
        ["node", "exercise.mjs", base_url], cwd=package, capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("ok ") == 8
