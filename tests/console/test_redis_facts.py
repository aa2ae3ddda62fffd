"""What the Redis page tells of a Cluster, and of a server that does not tell everything."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from cache_admin import redis_facts, sources
from responses_api.config.schema import RedisConfig, ResponseApiConfig, RouterConfig
from responses_api.redis.sync import sync_client
from router_site.cluster_dev import DevCluster
from tests.valkey import Valkey


def reading(monkeypatch: pytest.MonkeyPatch, config: RedisConfig) -> Any:
    client = sync_client(config)
    whole = RouterConfig(response_api=ResponseApiConfig(store_backend="redis", redis=config))
    monkeypatch.setattr(sources, "redis", lambda: client)
    monkeypatch.setattr(sources, "config", lambda: whole)
    return client


def test_a_cluster(cluster: DevCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RedisConfig(cluster_mode=True, cluster_addresses=tuple(cluster.addresses), key_prefix="facts:")
    client = reading(monkeypatch, config)
    for number in range(30):
        client.set(f"facts:response:resp_{number}", "x" * 100, ex=1000)
    client.set("facts:conversation:conv_1", "{}")
    deadline = time.monotonic() + 10
    while len((facts := redis_facts.gather()).nodes) < 6:  # nodes hear of each other's replicas by and by
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert facts.mode == "cluster"
    assert [node.role for node in facts.nodes] == ["master"] * 3 + ["replica"] * 3
    slots = [part for node in facts.nodes[:3] for part in node.slots.split(", ")]
    counted = sum(int(part.split("-")[-1]) - int(part.split("-")[0]) + 1 for part in slots)
    assert counted == 16384
    kinds = {kind.name: kind for kind in facts.kinds}
    assert (kinds["response"].keys, kinds["conversation"].keys) == (30, 1)
    assert 900 < (kinds["response"].average_ttl or 0) <= 1000
    assert kinds["conversation"].average_ttl is None
    assert (kinds["response"].average_bytes or 0) > 100
    assert facts.keys >= 31
    assert facts.estimated(kinds["response"]) == 30
    for number in range(30):
        client.delete(f"facts:response:resp_{number}")
    client.delete("facts:conversation:conv_1")
    client.close()


def test_the_slow_log_tells_no_values(own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    client = reading(monkeypatch, RedisConfig(address=own_valkey.address))
    client.config_set("slowlog-log-slower-than", 0)
    client.set("sr:response:resp_1", "somebody's words", ex=100)
    facts = redis_facts.gather()
    commands = [each.command for each in facts.slow]
    assert any(command.startswith("SET sr:response:resp_1") for command in commands)
    assert not any("words" in command for command in commands)
    client.close()


def test_what_is_refused_is_said(own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis.Redis(port=own_valkey.port) as admin:
        admin.execute_command("ACL", "SETUSER", "little", "on", ">pw", "~*", "-@all", "+ping", "+dbsize", "+info")
    config = RedisConfig(address=own_valkey.address, username="little", password="pw")
    client = reading(monkeypatch, config)
    facts = redis_facts.gather()
    assert facts.refused == {"SCAN", "SLOWLOG"}
    assert facts.nodes[0].role == "master"
    client.close()
