"""What has been purged, learnt from a Redis that is slow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from responses_api.cache import epochs
from responses_api.cache.epochs import Epochs
from responses_api.redis.pool import RedisPool


class SlowRedis:
    """Answers in the next turn of the loop, with nothing."""

    def execute(self, command: str, *_: object) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        loop.call_soon(future.set_result, None if command == "GET" else [])
        return future


def in_time(work: Coroutine[Any, Any, None]) -> None:
    """On a loop of its own: one that hangs must not take the test with it."""
    thread = threading.Thread(target=asyncio.run, args=(work,), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "the event loop hangs"


@pytest.mark.parametrize("lease_seconds", [0.0, 10.0])
def test_an_answer_that_comes_too_late_holds_up_nobody(monkeypatch: pytest.MonkeyPatch, lease_seconds: float) -> None:
    """Also those who ask in the very moment in which it comes."""
    monkeypatch.setattr(epochs, "LEASE_SECONDS", lease_seconds)
    monkeypatch.setattr(epochs, "REFRESH_SECONDS", 0.0)
    outcomes: list[object] = []

    async def ask_in_every_moment() -> None:
        learnt = Epochs(cast(RedisPool, SlowRedis()), "p", lambda: None)
        asking: list[asyncio.Task[object]] = []
        for turn in range(50):
            asking.append(asyncio.ensure_future(learnt.of(f"project {turn % 3}")))
            await asyncio.sleep(0)
        outcomes.extend(await asyncio.gather(*asking, return_exceptions=True))

    in_time(ask_in_every_moment())
    expected = {} if lease_seconds else TimeoutError
    assert len(outcomes) == 50
    assert all(outcome == expected or type(outcome) is expected for outcome in outcomes)
