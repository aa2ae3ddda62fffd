"""Deadlines of many calls by one clock."""

from __future__ import annotations

import asyncio

import pytest

from responses_api.patience import Patience


async def test_a_wait_that_is_over_cancels_its_task_and_says_so() -> None:
    patience = Patience(asyncio.get_running_loop())
    wait = patience.begin(0.01)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(5)
    assert wait.was_timeout()
    await asyncio.sleep(0)  # withdrawn: the task goes on


async def test_extended_and_paused_waits_do_not_expire() -> None:
    patience = Patience(asyncio.get_running_loop())
    extended, paused, ended = patience.begin(0.01), patience.begin(0.01), patience.begin(0.01)
    extended.extend(60)
    paused.pause()
    patience.end(ended)
    await asyncio.sleep(0.6)
    assert [extended.expired, paused.expired, ended.expired] == [False, False, False]
    patience.close()


async def test_somebody_elses_cancellation_is_not_a_timeout() -> None:
    patience = Patience(asyncio.get_running_loop())
    seen: list[bool] = []

    async def call() -> None:
        wait = patience.begin(60)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(wait.was_timeout())
            raise

    task = asyncio.ensure_future(call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [False]
    patience.close()
