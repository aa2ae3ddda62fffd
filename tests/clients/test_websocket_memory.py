"""Ten thousand turns on one WebSocket leave the web process as large as it was."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.launcher.running_site import RunningSite

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("clients")]

TURNS = 10_000
WARM_UP = 500
MAX_GROWTH_KIB = 8 * 1024
"""A kilobyte kept of each turn would be more."""


def resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def turn(socket: ClientConnection, **fields: Any) -> str:
    script = {"text": "ok", "tokens_per_second": 0}
    request = {"type": "response.create", "model": "demo", "input": "x" * 500, "demo_script": script, **fields}
    socket.send(json.dumps(request))
    while True:
        event = json.loads(socket.recv(10))
        assert event["type"] not in ("error", "response.failed"), event
        if event["type"] == "response.completed":
            return str(event["response"]["id"])


def test_memory_does_not_grow_with_the_turns(site: RunningSite) -> None:
    web = site.pid_of("web")
    before = 0
    with connect(f"{site.url.replace('http', 'ws')}/v1/responses", compression=None) as socket:
        for number in range(TURNS // 2):
            if number == WARM_UP:
                before = resident_kib(web)
            # In pairs, so that what a connection keeps for `store: false` is used, and replaced.
            first = turn(socket, store=False)
            turn(socket, store=False, previous_response_id=first)
        grown = resident_kib(web) - before
    assert grown < MAX_GROWTH_KIB
