"""The documented walk-through of a Redis Cluster, against six real nodes and the site as operators start it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from redis.crc import key_slot

from router_site.cluster_dev import DevCluster
from tests.cluster import new_cluster
from tests.launcher.running_site import RunningSite, eventually, index_ids
from tests.launcher.talker import Talker

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("cluster")]

ANSWERS_AGAIN_SECONDS = 6
"""At a node timeout of 2 s."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    """Its own: a master of it is killed."""
    cluster = new_cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.down()


def block(cluster: DevCluster) -> str:
    addresses = "".join(f'\n    - "{address}"' for address in cluster.addresses)
    return f"""
    cluster_mode: true
    cluster_addresses: {addresses}
    db: 0
    key_prefix: "sr:"
    pool_size: 20
    max_retries: 5
    dial_timeout: 10
"""


@pytest.fixture
def site(cluster: DevCluster, tmp_path: Path) -> Iterator[RunningSite]:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"response_api:\n  enabled: true\n  store_backend: redis\n  ttl_seconds: 86400\n  redis:{block(cluster)}"
    )
    site = RunningSite(tmp_path / "var", "--config", str(config)).wait_until_ready()
    yield site
    assert site.stop() == 0, site.output


def nodes_with(cluster: DevCluster, key: str) -> dict[int, str]:
    """Port → role of the nodes that list `key`."""
    roles = {state.port: state.role for state in cluster.states()}
    found = {}
    for port, role in roles.items():
        with redis.Redis(port=port) as client:
            if key.encode() in client.keys("sr:*"):
                found[port] = role
    return found


def test_the_walk_through(cluster: DevCluster, site: RunningSite) -> None:
    with httpx.Client(base_url=site.url, timeout=30) as http:
        first = http.post(
            "/v1/responses",
            json={
                "model": "demo",
                "input": "What is Redis Cluster?",
                "instructions": "You are a database expert.",
                "store": True,
            },
        )
        assert (first.status_code, first.json()["status"]) == (200, "completed")
        first_id = first.json()["id"]
        key = f"sr:response:{first_id}"

        # One master has it, and the replica of that master.
        eventually(lambda: sorted(nodes_with(cluster, key).values()) == ["master", "replica"])
        holders = {role: port for port, role in nodes_with(cluster, key).items()}
        states = {state.port: state for state in cluster.states()}
        assert states[holders["replica"]].master_port == holders["master"]
        with redis.Redis(port=holders["master"]) as client:
            assert client.execute_command("CLUSTER", "KEYSLOT", key) == key_slot(key.encode())
            assert 86_000 < client.ttl(key) <= 86_400

        assert http.get(f"/v1/responses/{first_id}").json()["id"] == first_id
        second = http.post(
            "/v1/responses",
            json={"model": "demo", "input": "Tell me more about sharding", "previous_response_id": first_id},
        ).json()
        assert (second["previous_response_id"], second["status"]) == (first_id, "completed")
        assert http.delete(f"/v1/responses/{first_id}").status_code == 200
        assert http.get(f"/v1/responses/{first_id}").status_code == 404
        assert nodes_with(cluster, key) == {}

        # Conversations, background runs and the cache live there too.
        conversation = http.post("/v1/conversations", json={"items": [{"role": "user", "content": "hi"}]}).json()["id"]
        body = {"model": "demo", "input": "more", "conversation": conversation}
        assert http.post("/v1/responses", json=body).status_code == 200
        assert len(http.get(f"/v1/conversations/{conversation}/items").json()["data"]) == 3
        run = http.post("/v1/responses", json={"model": "demo", "input": "later", "background": True}).json()["id"]
        eventually(lambda: http.get(f"/v1/responses/{run}").json()["status"] == "completed")
        ask = {"url": "/v1/responses", "json": {"model": "demo", "input": "x"}, "headers": {"x-cache-key": "k"}}
        assert [http.post(**ask).headers["x-cache"] for _ in range(2)] == ["MISS", "HIT"]
        eventually(lambda: http.get("/v1/cache/stats").json()["entries"] == 1)
        purged = http.post("/v1/cache/purge", json={"all": True}).json()
        assert purged["entries"] == 1
        assert http.post(**ask).headers["x-cache"] == "MISS"
    started = (site.var / "log" / "web.log").read_text()
    assert '"mode":"cluster","nodes":6,"pool_size":20' in started
    assert '"store":"redis","ttl_seconds":86400' in started
    eventually(lambda: {first_id, second["id"], run} <= set(index_ids(site.var)))
    assert cluster.is_ok()


def test_a_master_killed_under_load(cluster: DevCluster, site: RunningSite) -> None:
    talkers = [Talker(site.url) for _ in range(4)]
    for talker in talkers:
        talker.start()
    try:
        eventually(lambda: all(len(talker.acknowledged) > 20 for talker in talkers))
        killed = cluster.kill_master()
        before = [len(talker.acknowledged) for talker in talkers]
        eventually(
            lambda: all(len(talker.acknowledged) > seen + 20 for talker, seen in zip(talkers, before, strict=True))
        )
    finally:
        for talker in talkers:
            talker.is_done = True
            talker.join()
    assert all(talker.longest_gap < ANSWERS_AGAIN_SECONDS for talker in talkers), [t.longest_gap for t in talkers]
    with httpx.Client(base_url=site.url, timeout=30) as http:
        acknowledged = [each for talker in talkers for each in talker.acknowledged]
        lost = [each for each in acknowledged if http.get(f"/v1/responses/{each}").status_code != 200]
    assert lost == []
    assert next(state for state in cluster.states() if state.port == killed).role == "down"
