"""One contract, run against each store of conversations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from responses_api.config.schema import RedisConfig
from responses_api.errors import StoreUnavailable
from responses_api.redis.pool import RedisPool
from responses_api.shapes.ids import new_id
from responses_api.stores.base import ConversationStore, Outcome
from responses_api.stores.memory_conversations import MemoryConversations
from responses_api.stores.redis_conversations import RedisConversations
from tests.contract.conftest import SERVERS
from tests.valkey import Valkey


@pytest.fixture(params=["memory", *SERVERS])
async def store(
    request: pytest.FixtureRequest, config_of: Callable[[str], RedisConfig]
) -> AsyncIterator[ConversationStore]:
    if request.param == "memory":
        yield MemoryConversations(100)
        return
    pool = RedisPool(config_of(request.param))
    yield RedisConversations(pool)
    await pool.aclose()


def items(*names: str) -> list[tuple[str, bytes]]:
    return [(name, name.encode()) for name in names]


async def test_a_conversation_keeps_its_items_in_order(store: ConversationStore) -> None:
    conversation = new_id("conv")
    await store.create(conversation, b"value", items("c", "a"))
    assert await store.get(conversation) == b"value"
    assert await store.append(conversation, items("b"), "r1") is Outcome.DONE
    assert await store.items(conversation) == [b"c", b"a", b"b"]
    assert await store.item(conversation, "a") == b"a"
    assert await store.item(conversation, "z") is None


async def test_what_is_there_already_is_not_added_twice(store: ConversationStore) -> None:
    conversation = new_id("conv")
    await store.create(conversation, b"value", items("a"))
    await store.append(conversation, [("a", b"other"), ("b", b"b")], "r1")
    assert await store.items(conversation) == [b"a", b"b"]


async def test_pages_in_both_orders(store: ConversationStore) -> None:
    conversation = new_id("conv")
    await store.create(conversation, b"value", items("a", "b", "c", "d"))
    assert await store.page(conversation, None, 2, ascending=True) == [b"a", b"b"]
    assert await store.page(conversation, "b", 9, ascending=True) == [b"c", b"d"]
    assert await store.page(conversation, None, 3, ascending=False) == [b"d", b"c", b"b"]
    assert await store.page(conversation, "b", 9, ascending=False) == [b"a"]
    assert await store.page(conversation, "z", 9, ascending=False) is None
    assert await store.remove_item(conversation, "b")
    assert not await store.remove_item(conversation, "b")
    assert await store.page(conversation, None, 9, ascending=True) == [b"a", b"c", b"d"]
    await store.append(conversation, items("e"), "r1")
    assert await store.page(conversation, "d", 9, ascending=True) == [b"e"]


async def test_thousands_of_items_are_read_at_once(store: ConversationStore) -> None:
    conversation = new_id("conv")
    many = items(*(f"item{n}" for n in range(12_000)))
    await store.create(conversation, b"value", many[:7_000])
    await store.append(conversation, many[7_000:], "r1")
    assert await store.items(conversation) == [value for _, value in many]


async def test_of_two_holders_one_gets_the_lock(store: ConversationStore) -> None:
    conversation = new_id("conv")
    await store.create(conversation, b"value", [])
    outcomes = await asyncio.gather(*(store.lock(conversation, f"r{n}", 30) for n in range(5)))
    assert sorted(outcome.value for outcome in outcomes) == ["done", *["locked"] * 4]
    holder = f"r{outcomes.index(Outcome.DONE)}"
    assert await store.lock(conversation, holder, 30) is Outcome.DONE
    assert await store.append(conversation, items("a"), "stranger") is Outcome.LOCKED
    await store.unlock(conversation, "stranger")
    assert await store.lock(conversation, "stranger", 30) is Outcome.LOCKED
    assert await store.items(conversation) == []
    assert await store.append(conversation, items("a"), holder) is Outcome.DONE
    # Which also unlocked it.
    assert await store.lock(conversation, "stranger", 30) is Outcome.DONE
    await store.unlock(conversation, "stranger")
    assert await store.lock(conversation, holder, 30) is Outcome.DONE


async def test_a_lock_that_nobody_renews_ends(store: ConversationStore) -> None:
    conversation = new_id("conv")
    await store.create(conversation, b"value", [])
    await store.lock(conversation, "dead", 0.05)
    deadline = time.monotonic() + 5
    while await store.lock(conversation, "next", 30) is not Outcome.DONE:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_what_is_not_there(store: ConversationStore) -> None:
    conversation = new_id("conv")
    assert await store.get(conversation) is None
    assert not await store.replace(conversation, b"value")
    assert await store.append(conversation, items("a"), "r1") is Outcome.MISSING
    assert await store.lock(conversation, "r1", 30) is Outcome.MISSING
    assert await store.items(conversation) == []
    assert not await store.delete(conversation)
    await store.create(conversation, b"value", items("a"))
    assert await store.replace(conversation, b"other")
    assert await store.get(conversation) == b"other"
    assert await store.delete(conversation)
    assert await store.items(conversation) == []


async def test_in_redis_it_is_plain_under_documented_keys_without_expiry(pool: RedisPool) -> None:
    conversation = new_id("conv")
    await RedisConversations(pool).create(conversation, b'{"id":1}', items("a"))
    key = f"{pool.key_prefix}conversation:{conversation}"
    assert await pool.execute("GET", key) == b'{"id":1}'
    for each in (key, f"{{{key}}}:items", f"{{{key}}}:order"):
        assert await pool.execute("TTL", each) == -1


async def test_a_redis_that_is_away_is_said_to_be(own_valkey: Valkey) -> None:
    pool = RedisPool(RedisConfig(address=own_valkey.address, max_retries=0))
    own_valkey.stop()
    with pytest.raises(StoreUnavailable):
        await RedisConversations(pool).items(new_id("conv"))
    await pool.aclose()
