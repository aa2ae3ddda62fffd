"""When something that does not answer is asked again."""

from __future__ import annotations

from responses_api.breaker import Breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(failures=3, pause=2)
    for _ in range(2):
        breaker.failed(now=0)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(now=0)
    assert breaker.allows(now=0)
    breaker.failed(now=0)
    assert not breaker.allows(now=0)
    assert not breaker.allows(now=1.9)


def test_then_one_may_try_and_its_outcome_decides() -> None:
    breaker = Breaker(failures=1, pause=2)
    breaker.failed(now=0)
    assert [breaker.allows(now=2) for _ in range(3)] == [True, False, False]
    breaker.failed(now=2)
    assert not breaker.allows(now=3.9)
    assert breaker.allows(now=4)
    breaker.succeeded()
    assert all(breaker.allows(now=4) for _ in range(3))


def test_who_leaves_before_knowing_lets_another_try() -> None:
    breaker = Breaker(failures=1, pause=2)
    breaker.failed(now=0)
    assert breaker.allows(now=2)
    breaker.withdrawn()
    assert breaker.allows(now=2)
