"""Deadlines of many calls by one clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

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


async def test_what_the_loop_had_no_time_to_hear_is_not_late() -> None:
    patience = Patience(asyncio.get_running_loop(), 0.0125)
    wait = patience.begin(0.035)
    for _ in range(4):
        time.sleep(0.1)  # noqa: ASYNC251 - a loop that has all hands full
        await asyncio.sleep(0)
    assert not wait.expired
    patience.end(wait)
    patience.close()


class FakeLoop:
    """A clock that the test moves, and the one timer that was set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due = 0.0
        self._look: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, look: Callable[[], None]) -> None:
        self.due, self._look = self.now + delay, look

    def fire(self, late: float) -> None:
        self.now = self.due + late
        self._look()


@pytest.mark.parametrize(("late", "looks"), [(0.0, 3), (0.002, 3), (0.006, 6), (1.0, 23)])
def test_only_a_loop_that_is_late_by_much_is_taken_for_busy(late: float, looks: int) -> None:
    loop = FakeLoop()
    wait = Patience(cast(asyncio.AbstractEventLoop, loop), 0.0125).begin(0.035)
    fired = 0
    while not wait.expired:
        loop.fire(late)
        fired += 1
    assert fired == looks


async def test_however_busy_the_loop_is_it_ends() -> None:
    patience = Patience(asyncio.get_running_loop(), 0.0125)
    wait = patience.begin(0.035)
    turns = 0
    try:
        while turns < 100:
            turns += 1
            time.sleep(0.02)  # noqa: ASYNC251
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        assert wait.was_timeout()
    assert 10 < turns < 60
    patience.close()
