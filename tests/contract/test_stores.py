"""One contract, run against every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from responses_api.config.schema import MilvusConfig, RedisConfig
from responses_api.errors import StoreUnavailable
from responses_api.redis.pool import RedisPool
from responses_api.shapes.ids import new_id
from responses_api.stores.base import Store
from responses_api.stores.memory import MemoryStore
from responses_api.stores.milvus import MilvusStore
from responses_api.stores.redis import RedisStore
from tests.contract.conftest import SERVERS
from tests.valkey import Valkey


@pytest.fixture(params=["memory", "milvus", *SERVERS])
async def store(
    request: pytest.FixtureRequest, config_of: Callable[[str], RedisConfig], milvus: MilvusConfig
) -> AsyncIterator[Store]:
    if request.param == "milvus":
        milvus_store = MilvusStore(milvus)
        yield milvus_store
        await milvus_store.aclose()
        return
    if request.param == "memory":
        yield MemoryStore(max_responses=1000)
        return
    pool = RedisPool(config_of(request.param))
    yield RedisStore(pool)
    await pool.aclose()


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> MilvusConfig:
    """Milvus Lite, in a file."""
    return MilvusConfig(address=str(tmp_path_factory.mktemp("milvus") / "responses.db"), timeout=30)


async def test_what_was_created_is_found(store: Store) -> None:
    one, two = new_id("resp"), new_id("resp")
    assert await store.create(one, b"1", 60)
    assert await store.create(two, b"2", 0)
    assert await store.get([two, "resp_unknown", one]) == [b"2", None, b"1"]


async def test_getting_nothing_is_nothing(store: Store) -> None:
    assert await store.get([]) == []


async def test_two_creates_of_one_id_cannot_both_win(store: Store) -> None:
    response_id = new_id("resp")
    values = [str(number).encode() for number in range(20)]
    won = await asyncio.gather(*(store.create(response_id, value, 60) for value in values))
    assert won.count(True) == 1
    assert await store.get([response_id]) == [values[won.index(True)]]


async def test_repeating_the_same_create_is_no_conflict(store: Store) -> None:
    response_id = new_id("resp")
    assert await store.create(response_id, b"same", 60)
    assert await store.create(response_id, b"same", 60)


async def test_it_knows_whether_all_are_there(store: Store) -> None:
    one, two = new_id("resp"), new_id("resp")
    await store.create(one, b"1", 60)
    assert await store.exist([])
    assert await store.exist([one])
    assert not await store.exist([one, two])
    await store.create(two, b"2", 60)
    assert await store.exist([one, two])


async def test_what_was_deleted_is_gone_and_deleting_again_says_so(store: Store) -> None:
    response_id = new_id("resp")
    await store.create(response_id, b"x", 60)
    assert await store.delete(response_id)
    assert await store.get([response_id]) == [None]
    assert not await store.delete(response_id)


async def test_a_thousand_at_once_stay_apart(store: Store) -> None:
    ids = [new_id("resp") for _ in range(1000)]
    assert all(await asyncio.gather(*(store.create(each, each.encode(), 60) for each in ids)))
    assert await store.get(ids) == [each.encode() for each in ids]


async def test_an_answering_store_pings(store: Store) -> None:
    await store.ping()
    assert store.healthy


def test_memory_drops_the_oldest_beyond_its_bound() -> None:
    async def scenario() -> list[bytes | None]:
        store = MemoryStore(max_responses=2)
        for name in ("resp_a", "resp_b", "resp_c"):
            await store.create(name, name.encode(), 0)
        return await store.get(["resp_a", "resp_b", "resp_c"])

    assert asyncio.run(scenario()) == [None, b"resp_b", b"resp_c"]


async def test_memory_forgets_after_the_ttl() -> None:
    now = 1000.0
    store = MemoryStore(max_responses=10, clock=lambda: now)
    await store.create("resp_a", b"x", 60)
    now += 59
    assert await store.get(["resp_a"]) == [b"x"]
    now += 1
    assert await store.get(["resp_a"]) == [None]
    assert await store.create("resp_a", b"y", 60)


async def test_milvus_hides_what_has_expired_and_sweeps_it(milvus: MilvusConfig) -> None:
    now = 1000.0
    store = MilvusStore(milvus, clock=lambda: now)
    await store.create("resp_old", b"x", 60)
    await store.create("resp_kept", b"x", 0)
    now += 61
    assert await store.get(["resp_old", "resp_kept"]) == [None, b"x"]
    await store.create("resp_new", b"y", 60)
    now -= 61
    assert await store.get(["resp_old"]) == [None]
    await store.aclose()


async def test_milvus_keeps_long_texts_of_all_alphabets(milvus: MilvusConfig) -> None:
    store = MilvusStore(milvus)
    value = '{"text":"aé漢😀"}'.encode() * 20_000
    assert await store.create("resp_long", value, 0)
    assert await store.get(["resp_long"]) == [value]
    assert await store.delete("resp_long")
    assert await store.get(["resp_long"]) == [None]
    await store.aclose()


async def test_milvus_is_not_told_what_is_no_id(milvus: MilvusConfig) -> None:
    store = MilvusStore(milvus)
    for odd in ('" or id != "', "resp_'; --", "a" * 129, "", "résp"):
        assert await store.get([odd]) == [None]
        assert not await store.delete(odd)
    await store.aclose()


async def test_a_milvus_that_is_away_is_said_to_be() -> None:
    store = MilvusStore(MilvusConfig(address="http://127.0.0.1:1", timeout=0.5))
    with pytest.raises(StoreUnavailable, match="milvus"):
        await store.ping()
    assert not store.healthy
    await store.aclose()


async def test_redis_keys_have_a_real_ttl_and_zero_means_none(pool: RedisPool) -> None:
    store = RedisStore(pool)
    await store.create("resp_ttl", b"x", 100)
    await store.create("resp_forever", b"x", 0)
    assert 98 <= await pool.execute("TTL", f"{pool.key_prefix}response:resp_ttl") <= 100
    assert await pool.execute("TTL", f"{pool.key_prefix}response:resp_forever") == -1


async def test_redis_stopped_is_said_and_started_again_works(own_valkey: Valkey) -> None:
    pool = RedisPool(RedisConfig(address=own_valkey.address, max_retries=3, dial_timeout=1))
    store = RedisStore(pool)
    await store.create("resp_a", b"kept", 60)
    own_valkey.stop()
    with pytest.raises(StoreUnavailable, match="response store is unavailable"):
        await store.get(["resp_a"])
    assert not store.healthy
    own_valkey.start()
    assert await store.get(["resp_a"]) == [b"kept"]
    assert store.healthy
    await pool.aclose()


async def test_redis_paused_is_a_timeout_not_a_hang(own_valkey: Valkey) -> None:
    pool = RedisPool(RedisConfig(address=own_valkey.address, max_retries=0, read_timeout=0.2, write_timeout=0.2))
    store = RedisStore(pool)
    await store.ping()
    own_valkey.pause()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(store.get(["resp_a"]), 3)
    own_valkey.resume()
    await store.ping()
    await pool.aclose()
