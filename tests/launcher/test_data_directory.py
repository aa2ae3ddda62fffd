from __future__ import annotations

import os
from pathlib import Path

import pytest

from router_site.launcher import data_directory
from router_site.launcher.problems import StartError


def test_one_at_a_time(tmp_path: Path) -> None:
    first, second = data_directory.locked(tmp_path), data_directory.locked(tmp_path)
    with first, pytest.raises(StartError, match=f"pid {os.getpid()}"), second:
        pass
    with data_directory.locked(tmp_path) as var:
        assert var.valkey.is_dir()


def test_whoever_inherits_the_lock_keeps_it(tmp_path: Path) -> None:
    with data_directory.locked(tmp_path) as var:
        inherited = os.dup(var.lock)
    with pytest.raises(StartError), data_directory.locked(tmp_path):
        pass
    os.close(inherited)


def test_a_large_log_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    large, small = tmp_path / "log" / "web.log", tmp_path / "log" / "beat.log"
    large.touch()
    os.truncate(large, data_directory.LOG_MAX_BYTES + 1)
    small.write_text("kept\n")
    with data_directory.locked(tmp_path):
        assert large.stat().st_size == 0
        assert small.read_text() == "kept\n"
