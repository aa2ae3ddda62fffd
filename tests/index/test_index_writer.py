"""What Redis does not take of the index is kept for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from responses_api import index_writer
from responses_api.config.schema import RedisConfig
from responses_api.index_entry import IndexEntry, decode
from responses_api.index_writer import IndexWriter
from responses_api.redis.pool import RedisPool
from tests.valkey import Valkey


@pytest.fixture
async def pool(own_valkey: Valkey) -> AsyncIterator[RedisPool]:
    pool = RedisPool(RedisConfig(address=own_valkey.address, max_retries=0))
    await pool.ping()
    yield pool
    await pool.aclose()


def entry(number: int) -> IndexEntry:
    return IndexEntry(id=f"resp_{number}", project="p", created_at=1.0)


async def ids_once_there_are(valkey: Valkey, number: int) -> list[str]:
    with redis.Redis(port=valkey.port) as client:
        while client.xlen("sr:index") < number:  # noqa: ASYNC110 - Redis has no event to wait for
            await asyncio.sleep(0.02)
        found: Any = client.xrange("sr:index")
    return [decode(fields[b"entry"]).id for _, fields in found]


async def test_an_outage_delays_entries_and_keeps_their_order(own_valkey: Valkey, pool: RedisPool) -> None:
    writer = IndexWriter(pool, 1000)
    own_valkey.stop()
    for number in range(3):
        writer.add(entry(number))
        await asyncio.sleep(0.1)
    own_valkey.start()
    writer.add(entry(3))
    assert await asyncio.wait_for(ids_once_there_are(own_valkey, 4), 20) == [f"resp_{number}" for number in range(4)]


async def test_of_a_long_outage_the_latest_are_kept(
    own_valkey: Valkey, pool: RedisPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_writer, "MAX_KEPT", 2)
    writer = IndexWriter(pool, 1000)
    own_valkey.stop()
    for number in range(5):
        writer.add(entry(number))
        await asyncio.sleep(0.1)
    own_valkey.start()
    assert await asyncio.wait_for(ids_once_there_are(own_valkey, 2), 20) == ["resp_3", "resp_4"]
