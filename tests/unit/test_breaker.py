"""When something that does not answer is asked again."""

from __future__ import annotations

from responses_api.breaker import Breaker, BreakerState


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


def test_a_share_of_failures_opens_it_too() -> None:
    breaker = Breaker(failures=100, pause=2, error_share=0.5)
    for _ in range(9):
        breaker.succeeded()
        assert not breaker.failed(now=0)
    breaker.succeeded()
    assert breaker.failed(now=0)  # ten of twenty
    assert breaker.state(now=1) is BreakerState.OPEN


def test_fewer_than_twenty_calls_are_no_share() -> None:
    breaker = Breaker(failures=100, pause=2, error_share=0.5)
    assert not any(breaker.failed(now=0) for _ in range(19))
    assert breaker.failed(now=0)


def test_a_long_good_past_does_not_hide_a_bad_present() -> None:
    breaker = Breaker(failures=100, pause=2, error_share=0.5)
    for _ in range(10_000):
        breaker.succeeded()
    outcomes = [breaker.failed(now=0) for _ in range(60)]
    assert outcomes.index(True) < 45


def test_each_trial_that_fails_doubles_the_pause_up_to_a_bound() -> None:
    breaker = Breaker(failures=1, pause=2, max_pause=10)
    now, pauses = 0.0, []
    for _ in range(5):
        assert breaker.allows(now)
        breaker.failed(now)
        pauses.append(breaker.open_until - now)
        now = breaker.open_until
    assert pauses == [2, 4, 8, 10, 10]
    assert breaker.allows(now)
    breaker.succeeded()
    breaker.failed(now)
    assert breaker.open_until - now == 2


def test_what_was_asked_before_it_opened_says_nothing() -> None:
    breaker = Breaker(failures=1, pause=2)
    breaker.failed(now=0)
    breaker.succeeded()
    assert breaker.state(now=1) is BreakerState.OPEN
    assert not breaker.failed(now=1)
    assert breaker.state(now=2) is BreakerState.HALF_OPEN


def test_it_can_be_kept_open_and_closed_from_outside() -> None:
    breaker = Breaker(failures=9, pause=2)
    breaker.open_for(5, now=0)
    breaker.open_for(1, now=0)
    assert not breaker.would_allow(now=4.9)
    assert breaker.would_allow(now=5)
    assert breaker.would_allow(now=5)  # which claims nothing
    breaker.close()
    assert breaker.allows(now=0)
