"""Background runs in Redis: whose they are, and that nobody else writes to them."""

from __future__ import annotations

import pytest

from responses_api.redis.pool import RedisPool
from responses_api.shapes.ids import new_id
from responses_api.stores.redis_runs import RedisRuns, RunState
from responses_api.vault import Vault

LEASE = 30


def event(number: int, size: int = 10) -> tuple[int, bytes, bytes]:
    return number, b"response.output_text.delta", b"x" * size


@pytest.fixture
def runs(pool: RedisPool) -> RedisRuns:
    return RedisRuns(pool, ttl_seconds=3600, log_seconds=600, log_max_bytes=65_536, vault=Vault(()))


@pytest.fixture
async def response_id(runs: RedisRuns) -> str:
    response_id = new_id("resp")
    assert await runs.submit(response_id, b"queued", b"request", b"context")
    return response_id


async def test_one_of_many_claims_it(runs: RedisRuns, response_id: str) -> None:
    claim = await runs.claim(response_id, "one", LEASE)
    assert claim is not None
    assert (claim.request, claim.context, claim.record, claim.next_sequence) == (b"request", b"context", b"queued", 0)
    assert await runs.claim(response_id, "two", LEASE) is None
    # A claim whose answer was lost is made again.
    assert await runs.claim(response_id, "one", LEASE) is not None
    view = await runs.look(response_id)
    assert view is not None
    assert (view.state, view.token, view.attempts) == (RunState.RUNNING, "one", 1)


async def test_the_id_is_taken_once(runs: RedisRuns, response_id: str) -> None:
    assert await runs.submit(response_id, b"queued", b"request", b"context")  # the same again
    assert not await runs.submit(response_id, b"another", b"request", b"context")


async def test_without_the_token_nothing_is_written(runs: RedisRuns, response_id: str) -> None:
    await runs.claim(response_id, "one", LEASE)
    assert not await runs.renew(response_id, "two", LEASE)
    assert not await runs.log(response_id, "two", [event(0)], has_spoken=True)
    assert not await runs.update(response_id, "two", b"theirs")
    assert not await runs.write_ahead(response_id, "two", b"theirs")
    assert await runs.close(response_id, "two", b"theirs", None) is False
    assert not await runs.requeue(response_id, "two", b"theirs")
    assert await runs.renew(response_id, "one", LEASE)
    assert await runs.close(response_id, "one", b"ours", event(0))
    assert await runs.read_log(response_id, -1, 10) == ([event(0)], False)


async def test_what_is_closed_stays_so(runs: RedisRuns, response_id: str) -> None:
    await runs.claim(response_id, "one", LEASE)
    assert await runs.close(response_id, "*", b"cancelled", None)
    for write in (
        runs.renew(response_id, "one", LEASE),
        runs.log(response_id, "one", [event(0)], has_spoken=True),
        runs.update(response_id, "one", b"late"),
        runs.close(response_id, "one", b"late", None),
        runs.close(response_id, "*", b"late", None),
    ):
        assert not await write
    assert await runs.claim(response_id, "two", LEASE) is None


async def test_events_sent_twice_are_kept_once(runs: RedisRuns, response_id: str) -> None:
    await runs.claim(response_id, "one", LEASE)
    await runs.log(response_id, "one", [event(0), event(1)], has_spoken=False)
    await runs.log(response_id, "one", [event(0), event(1), event(2)], has_spoken=False)
    found, is_open = await runs.read_log(response_id, -1, 10)
    assert [number for number, _, _ in found] == [0, 1, 2]
    assert is_open
    assert (await runs.read_log(response_id, 1, 10))[0] == [event(2)]


async def test_an_ending_from_outside_waits_for_what_was_logged_meanwhile(runs: RedisRuns, response_id: str) -> None:
    await runs.claim(response_id, "one", LEASE)
    await runs.log(response_id, "one", [event(0), event(1)], has_spoken=True)
    assert await runs.close(response_id, "*", b"cancelled", event(1), expected_next=1) is None
    assert await runs.close(response_id, "*", b"cancelled", event(2), expected_next=2)


async def test_the_log_is_bounded(runs: RedisRuns, response_id: str) -> None:
    await runs.claim(response_id, "one", LEASE)
    for number in range(300):
        await runs.log(response_id, "one", [event(number, 1000)], has_spoken=True)
    found, _ = await runs.read_log(response_id, -1, 1000)
    assert 30 <= len(found) <= 66
    assert found[-1][0] == 299


async def test_a_lease_is_suspected_before_it_is_lost(runs: RedisRuns, response_id: str) -> None:
    await runs.claim(response_id, "one", 0)
    states = []
    for _ in range(3):
        view = await runs.look(response_id)
        assert view is not None
        states.append(view.state)
    assert states == [RunState.SUSPECT, RunState.LOST, RunState.LOST]
    assert await runs.renew(response_id, "one", 0)
    view = await runs.look(response_id)
    assert view is not None
    assert view.state is RunState.SUSPECT
    assert await runs.requeue(response_id, "one", b"queued")
    claim = await runs.claim(response_id, "two", LEASE)
    assert claim is not None
    view = await runs.look(response_id)
    assert view is not None
    assert (view.state, view.attempts) == (RunState.RUNNING, 2)


async def test_those_to_look_after_are_found_by_time(runs: RedisRuns) -> None:
    await runs.watch("resp_b", 20)
    await runs.watch("resp_a", 10)
    await runs.watch("resp_c", 30)
    assert await runs.due(20, 10) == ["resp_a", "resp_b"]
    assert await runs.due(99, 1) == ["resp_a"]
    await runs.forget("resp_a")
    assert await runs.due(20, 10) == ["resp_b"]
    assert await runs.look("resp_b") is None


async def test_a_deleted_record_is_not_brought_back(runs: RedisRuns, response_id: str, pool: RedisPool) -> None:
    claim = await runs.claim(response_id, "one", LEASE)
    assert claim is not None
    key = f"{pool.key_prefix}response:{response_id}"
    await pool.execute("DEL", key)
    await runs.update(response_id, "one", b"partial")
    await runs.close(response_id, "one", b"done", None)
    assert await pool.execute("GET", key) is None
