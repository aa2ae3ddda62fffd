"""The real launcher in a process of its own, on free ports and a directory of its own."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx

from tests.valkey import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30
_FOREIGN = ("REDIS_URL", "DATABASE_URL", "CELERY_BROKER_URL", "ROUTER_", "WEB_CONCURRENCY", "ALLOWED_HOSTS")


def environ() -> dict[str, str]:
    """Ours, without what would lead the site elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def run_launcher(*arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
    """For starts that are refused."""
    return subprocess.run(
        [sys.executable, "-m", "router_site.launcher", *map(str, arguments)],
        cwd=ROOT,
        env=environ() | extra,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


class RunningSite:
    """Started at construction; `wait_until_ready` before asking it anything."""

    def __init__(self, var: Path, *arguments: str, **extra: str) -> None:
        """`extra` is added to the environment."""
        self.var = var
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = var.with_suffix(".out")
        command = [sys.executable, "-m", "router_site.launcher", "--var", str(var), "--port", str(self.port)]
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [*command, *arguments], cwd=ROOT, env=environ() | extra, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_until_ready(self) -> RunningSite:
        eventually(lambda: "ready in" in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output
        return self

    def pid_of(self, part: str) -> int:
        """As the operator reads it: the table's, or that of the last restart."""
        found = re.findall(
            rf"^{part} +\S.* (\d+) +\S+\.log$|^{part} started again, pid (\d+)$", self.output, re.MULTILINE
        )
        assert found, self.output
        return int("".join(found[-1]))

    def pids(self) -> set[int]:
        return {int(pid) for pid in re.findall(r" (\d+) +\S+\.log$", self.output, re.MULTILINE)}

    def kill_part(self, part: str) -> None:
        """Returns once the launcher has started it again."""
        pid = self.pid_of(part)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.pid_of(part) != pid)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def ask(self, **body: object) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/responses", json={"model": "demo", **body}, timeout=PATIENCE_SECONDS)


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """A zombie that init has not yet reaped does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def index_ids(var: Path) -> list[str]:
    """The ids of a site's index."""
    with closing(sqlite3.connect(f"file:{var / 'router.sqlite3'}?mode=ro", uri=True)) as database:
        return [row[0] for row in database.execute("SELECT id FROM responses_api_responseindex")]
