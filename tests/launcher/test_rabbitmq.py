"""RabbitMQ as the workers' broker: background runs, cache writes and the index go by it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.launcher.running_site import RunningSite, eventually, index_ids
from tests.valkey import free_port

pytestmark = pytest.mark.processes

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_SECONDS = 60


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[str]:
    """A server of its own; its URL."""
    if not SERVER.exists():
        # CI installs it: there its absence is a fault.
        assert "REQUIRE_SERVERS" not in os.environ, "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed (apt install rabbitmq-server)")
    port = free_port()
    environ = {
        **os.environ,
        "HOME": str(tmp_path),
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_NODENAME": f"test-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(tmp_path / "mnesia"),
        "RABBITMQ_LOG_BASE": str(tmp_path / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(tmp_path / "plugins"),
    }
    with (tmp_path / "rabbitmq.out").open("wb") as output:
        server = subprocess.Popen(
            [SERVER], env=environ, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(port):
            assert server.poll() is None, (tmp_path / "rabbitmq.out").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"amqp://guest:guest@127.0.0.1:{port}//"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        end_name_server(environ["ERL_EPMD_PORT"])


def end_name_server(port: str) -> None:
    """Erlang's, which the server started and left behind; it refuses while it takes a node for alive."""
    for _ in range(50):
        ended = subprocess.run(["epmd", "-port", port, "-kill"], capture_output=True, text=True, check=False)
        if ended.returncode == 0 or "Cannot connect" in f"{ended.stdout}{ended.stderr}":
            return
        time.sleep(0.1)


def answers(port: int) -> bool:
    """With AMQP, not just a socket."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))
    except OSError:
        return False


def test_all_tasks_go_by_it(rabbitmq: str, tmp_path: Path) -> None:
    site = RunningSite(tmp_path / "var", CELERY_BROKER_URL=rabbitmq).wait_until_ready()
    with httpx.Client(base_url=site.url, timeout=30) as http:
        body = {"model": "demo", "input": "later", "background": True}
        runs = [
            http.post("/v1/responses", json={**body, "service_tier": tier}).json()["id"]
            for tier in ("flex", "default", "priority")
        ]
        for run in runs:
            eventually(lambda run=run: http.get(f"/v1/responses/{run}").json()["status"] == "completed")
        ask = {"url": "/v1/responses", "json": {"model": "demo", "input": "x"}, "headers": {"x-cache-key": "k"}}
        http.post(**ask)
        eventually(lambda: http.get("/v1/cache/stats").json()["entries"] == 1)
    eventually(lambda: set(runs) <= set(index_ids(site.var)))
    assert site.stop() == 0
