"""Commands of one event-loop turn travel together."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ResponseError

from responses_api.redis.addresses import split_address
from responses_api.redis.pool import RedisPool


async def packets(pool: RedisPool) -> int:
    """How many times a server has read from our connections: a pipeline is one read."""
    info: bytes = await pool.execute("INFO", "stats")
    line = next(line for line in info.splitlines() if line.startswith(b"total_reads_processed:"))
    return int(line.partition(b":")[2])


async def test_commands_of_one_turn_are_one_pipeline(pool: RedisPool) -> None:
    await pool.execute("SET", f"{pool.key_prefix}a", b"1")
    before = await packets(pool)
    replies = await asyncio.gather(*(pool.execute("GET", f"{pool.key_prefix}a") for _ in range(50)))
    assert replies == [b"1"] * 50
    assert await packets(pool) - before <= 2  # the pipeline, and this question


async def test_a_wrong_command_fails_alone(pool: RedisPool) -> None:
    key = f"{pool.key_prefix}text"
    replies = await asyncio.gather(
        pool.execute("SET", key, b"x"),
        pool.execute("INCR", key),
        pool.execute("GET", key),
        return_exceptions=True,
    )
    assert replies[0] == b"OK"
    assert isinstance(replies[1], ResponseError)
    assert replies[2] == b"x"


async def test_a_cancelled_waiter_does_not_disturb_the_others(pool: RedisPool) -> None:
    key = f"{pool.key_prefix}k"
    waiting = asyncio.ensure_future(asyncio.wait_for(pool.execute("GET", key), 5))
    other = pool.execute("SET", key, b"1")
    await asyncio.sleep(0)
    waiting.cancel()
    assert await other == b"OK"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:6379", ("localhost", 6379)),
        ("redis", ("redis", 6379)),
        ("[::1]:7000", ("::1", 7000)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
    ],
)
def test_addresses_are_split(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected
