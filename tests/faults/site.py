"""The site's real processes, each to be killed, stopped and started by itself, with a wire to each server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import redis

from router_site.launcher import parts
from router_site.launcher.data_directory import DataDirectory
from tests.faults.wire import Wire
from tests.launcher.running_site import ROOT, environ
from tests.valkey import Valkey, free_port

START_SECONDS = 30
AOF = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction")
"""As `./run` starts the embedded server."""
CONFIG = """
response_api: {{store_backend: redis, redis: {{address: '127.0.0.1:{redis}'}}}}
backends:
  - {{name: demo, base_url: 'http://127.0.0.1:{backend}/v1', models: [demo]}}
background: {{lease_seconds: 2}}
routing: {{breaker_failures: 1000, breaker_error_share: 1, probe_interval: 0}}
"""


class Process:
    """One of the site's; its output is in `log`."""

    def __init__(self, command: Sequence[str], env: dict[str, str], log: Path, is_up: Callable[[], bool]) -> None:
        self._command, self._env, self._log, self._is_up = command, env, log, is_up
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted = False
        self._changing = threading.Lock()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._changing:
            self._start()

    def look_after(self) -> None:
        """As whoever supervises it does: starts it again where it has ended by itself."""
        with self._changing:
            if self._is_wanted and self._process is not None and self._process.poll() is not None:
                self._start()

    def _start(self) -> None:
        self._is_wanted = True
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up():
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            assert time.monotonic() < deadline, self._log.read_text()[-2000:]
            time.sleep(0.02)

    def kill(self) -> None:
        self._is_wanted = False
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """As at the end of a day: told to stop, killed where that takes too long."""
        self._is_wanted = False
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


class FaultSite:
    """Started at construction. `valkey` holds state, `broker` the queues; the gateway reaches both, and its backend,
    by wires."""

    def __init__(self, folder: Path) -> None:
        var = folder / "var"
        for each in (var, folder / "valkey", folder / "broker"):
            each.mkdir()
        self.valkey = Valkey(folder / "valkey", None, *AOF)
        self.broker = Valkey(folder / "broker", None, *AOF)
        backend_port = free_port()
        self.state_wire, self.broker_wire = Wire(self.valkey.port), Wire(self.broker.port)
        self.backend_wire = Wire(backend_port)
        config = folder / "config.yaml"
        config.write_text(CONFIG.format(redis=self.state_wire.port, backend=self.backend_wire.port))
        self.env = environ() | {
            "ROUTER_VAR_DIR": str(var),
            "ROUTER_CONFIG": str(config),
            "CELERY_BROKER_URL": f"redis://127.0.0.1:{self.broker_wire.port}/0",
            "ROUTER_ALLOW_ANONYMOUS": "1",
        }
        self.database = var / "router.sqlite3"
        subprocess.run(parts.setup().command, cwd=ROOT, env=self.env, check=True, capture_output=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.redis: Any = redis.Redis(port=self.valkey.port)
        self.backend_url = f"http://127.0.0.1:{backend_port}"

        def made(name: str, command: Sequence[str], is_up: Callable[[], bool]) -> Process:
            return Process(command, self.env, folder / f"{name}.log", is_up)

        module = (sys.executable, "-m")
        backend = (*module, "responses_api.demo_backend", "--port", str(backend_port))
        self.backend = made("backend", backend, lambda: _answers(f"{self.backend_url}/health"))
        web = (*module, "router_site.web", "--port", str(port))
        self.web = made("web", web, lambda: _answers(f"{self.url}/healthz"))
        self.worker = made("worker", parts.worker(8).command, lambda: True)
        self.upkeep = made("upkeep", parts.upkeep(4).command, lambda: True)
        self.beat = made("beat", parts.beat(DataDirectory(var, lock=-1)).command, lambda: True)
        self._is_closed = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self.processes = (self.backend, self.web, self.worker, self.upkeep, self.beat)
        try:
            for process in self.processes:
                process.start()
        except BaseException:
            self.close()
            raise
        self._supervisor.start()

    def _supervise(self) -> None:
        while not self._is_closed.wait(0.1):
            for process in self.processes:
                process.look_after()

    def close(self) -> None:
        self._is_closed.set()
        for process in reversed(self.processes):
            process.end()
        for wire in (self.state_wire, self.broker_wire, self.backend_wire):
            wire.close()
        self.redis.close()
        for server in (self.valkey, self.broker):
            server.resume()
            server.stop()

    def post(self, **body: Any) -> httpx.Response:
        headers = body.pop("headers", {})
        return httpx.post(f"{self.url}/v1/responses", json={"model": "demo", **body}, headers=headers, timeout=30)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", params=params, timeout=30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
