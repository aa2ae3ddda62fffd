"""Valkey, web and worker killed while clients talk: what was acknowledged is there, each with one row."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.launcher.running_site import RunningSite, eventually, index_ids
from tests.launcher.talker import Talker

pytestmark = pytest.mark.processes


def test_nothing_acknowledged_is_lost_and_no_row_is_lost_or_doubled(tmp_path: Path) -> None:
    site = RunningSite(tmp_path / "var").wait_until_ready()
    talkers = [Talker(site.url) for _ in range(3)]
    for talker in talkers:
        talker.start()
    for part in ("valkey", "web", "upkeep", "worker", "valkey"):
        before = sum(len(talker.acknowledged) for talker in talkers)
        eventually(lambda before=before: sum(len(talker.acknowledged) for talker in talkers) > before + 20)
        site.kill_part(part)
    for talker in talkers:
        talker.is_done = True
        talker.join()
    eventually(lambda: httpx.get(f"{site.url}/readyz", timeout=10).status_code == 200)

    acknowledged = [response_id for talker in talkers for response_id in talker.acknowledged]
    with httpx.Client(base_url=site.url, timeout=10) as client:
        lost = [each for each in acknowledged if client.get(f"/v1/responses/{each}").status_code != 200]
        for talker in talkers:
            follow_up = {"model": "demo", "input": "Still there?", "previous_response_id": talker.acknowledged[-1]}
            answer = client.post("/v1/responses", json=follow_up)
            assert (answer.status_code, answer.headers.get("x-router-chain-missing")) == (200, None)
    assert lost == []
    eventually(lambda: set(acknowledged) <= set(index_ids(site.var)))
    rows = index_ids(site.var)
    assert len(rows) == len(set(rows))
    assert site.stop() == 0
