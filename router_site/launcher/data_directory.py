"""The directory that holds everything an installation remembers: locked, writable, with room for logs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from router_site.launcher.problems import StartError

LOG_MAX_BYTES = 10 * 1024 * 1024
"""A larger log starts anew with the site, so that logs stay bounded without a daemon for it."""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """`path` is ours alone as long as `lock`, a descriptor, is open in this process or one that inherited it."""

    path: Path
    lock: int

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics"

    def log(self, part: str) -> Path:
        return self.path / "log" / f"{part}.log"

    def write_port(self, part: str, port: int) -> None:
        """For whoever wants to look in: `redis-cli -p $(cat var/valkey.port)`."""
        (self.path / f"{part}.port").write_text(f"{port}\n")


@contextmanager
def locked(path: Path) -> Iterator[DataDirectory]:
    """Makes and locks the directory at `path`. Raises `StartError` where it cannot be, or another site runs on it.

    Two Redis servers on one directory are silently accepted and ruin each other's file.
    """
    try:
        for directory in (path, path / "log", path / "valkey", path / "metrics"):
            directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StartError(
            f"The data directory {path} cannot be used: {error.strerror}. Make it one that you may write to, or "
            "choose another: --var DIR."
        ) from None
    try:
        _take(lock, path)
        _shorten_logs(path / "log")
        yield DataDirectory(path, lock)
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0).decode(errors="replace").strip()
        raise StartError(
            f"Another ./run (pid {pid or 'unknown'}) uses the data directory {path}. Stop that one, or start this "
            "one with --var DIR and --port PORT of its own."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _shorten_logs(directory: Path) -> None:
    for log in directory.glob("*.log"):
        if log.stat().st_size > LOG_MAX_BYTES:
            os.truncate(log, 0)
