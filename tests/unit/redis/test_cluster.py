"""What a Cluster says of its slots is followed, while it changes too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from responses_api.config.schema import RedisConfig
from responses_api.redis import cluster as cluster_module
from responses_api.redis.cluster import slot_of, slots_in
from responses_api.redis.pool import RedisPool
from responses_api.redis.scripts import Script
from router_site.cluster_dev import DevCluster
from tests.valkey import free_port

_ECHO = Script("return {KEYS[1], ARGV[1]}")


@pytest.fixture
async def pool(cluster: DevCluster) -> AsyncIterator[RedisPool]:
    pool = RedisPool(RedisConfig(cluster_mode=True, cluster_addresses=tuple(cluster.addresses), key_prefix="t:"))
    yield pool
    await pool.aclose()


class Slot:
    """One that is moved from its master to another, and back at the end."""

    def __init__(self, cluster: DevCluster, key: str) -> None:
        self.number = slot_of(("GET", key))
        masters = [state.port for state in cluster.states() if state.slots]
        self.clients = {port: redis.Redis(port=port, protocol=2) for port in masters}
        self.ids = {port: self.ask(port, "CLUSTER", "MYID").decode() for port in masters}
        ranges = self.ask(masters[0], "CLUSTER", "SLOTS")
        self.home = next(port for first, last, (_, port, *_), *_ in ranges if first <= self.number <= last)
        self.other = next(port for port in masters if port != self.home)

    def ask(self, port: int, *command: str | int) -> Any:
        return self.clients[port].execute_command(*command, NEVER_DECODE=True)

    def begin_move(self) -> None:
        self.ask(self.other, "CLUSTER", "SETSLOT", self.number, "IMPORTING", self.ids[self.home])
        self.ask(self.home, "CLUSTER", "SETSLOT", self.number, "MIGRATING", self.ids[self.other])

    def give(self, port: int) -> None:
        for each in (port, *(other for other in self.clients if other != port)):
            self.ask(each, "CLUSTER", "SETSLOT", self.number, "NODE", self.ids[port])

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


@pytest.fixture
def slot(cluster: DevCluster) -> Iterator[Slot]:
    slot = Slot(cluster, "{moved}")
    yield slot
    slot.give(slot.other)
    slot.ask(slot.other, "DEL", "{moved}:a")
    slot.give(slot.home)
    slot.close()


async def test_a_key_that_has_moved_already_is_asked_for_there(pool: RedisPool, slot: Slot) -> None:
    """ASK: this command goes there, the next one home again."""
    slot.begin_move()
    assert await pool.execute("SET", "{moved}:a", b"1") == b"OK"
    assert await asyncio.gather(*(pool.execute("GET", "{moved}:a") for _ in range(50))) == [b"1"] * 50
    assert slot.ask(slot.home, "CLUSTER", "COUNTKEYSINSLOT", slot.number) == 0
    assert slot.ask(slot.other, "CLUSTER", "COUNTKEYSINSLOT", slot.number) == 1


async def test_a_slot_that_has_moved_is_followed(pool: RedisPool, slot: Slot) -> None:
    """MOVED, for commands and scripts."""
    assert await pool.execute("GET", "{moved}:b") is None
    slot.begin_move()
    slot.give(slot.other)
    assert await pool.execute("SET", "{moved}:a", b"2") == b"OK"
    assert await pool.run(_ECHO, ["{moved}:a"], "x") == [b"{moved}:a", b"x"]
    assert slot.ask(slot.other, "CLUSTER", "COUNTKEYSINSLOT", slot.number) == 1


async def test_commands_of_one_turn_go_to_all_masters(pool: RedisPool) -> None:
    keys = [f"t:{number}" for number in range(300)]
    assert all(await asyncio.gather(*(pool.execute("SET", key, key, "EX", 60) for key in keys)))
    assert await pool.get_many(keys) == [key.encode() for key in keys]
    assert await pool.count_existing(keys) == 300


async def test_keys_of_different_slots_in_one_command_are_refused(pool: RedisPool) -> None:
    with pytest.raises(ResponseError):
        await pool.execute("DEL", "t:a", "t:b")


async def test_a_cluster_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "KEPT_WAITING_SECONDS", 0.3)
    away = RedisConfig(cluster_mode=True, cluster_addresses=(f"127.0.0.1:{free_port()}",))
    pool = RedisPool(away)
    with pytest.raises(ConnectionRefusedError):
        await pool.warm_up()
    replies = await asyncio.gather(*(pool.execute("GET", f"k{n}") for n in range(5)), return_exceptions=True)
    assert all(isinstance(reply, RedisConnectionError | OSError) for reply in replies), replies
    await pool.aclose()


def test_hash_tags_decide_on_the_slot() -> None:
    assert slot_of(("GET", "foo")) == 12182
    assert slot_of(("EVALSHA", "sha", 1, "{foo}:run", "x")) == 12182
    assert slot_of(("SET", b"foo", b"1")) == 12182


def test_a_node_that_does_not_know_its_address_is_where_it_was_asked() -> None:
    reply = [[0, 100, [b"", 7001, b"id"], [b"10.0.0.2", 7004, b"id"]], [101, 16383, [b"10.0.0.3", 7002, b"id"]]]
    assert slots_in(reply, "10.0.0.1") == [(0, 100, ("10.0.0.1", 7001)), (101, 16383, ("10.0.0.3", 7002))]
