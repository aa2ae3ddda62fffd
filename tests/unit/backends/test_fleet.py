"""Who is asked, as endpoints come and go."""

from __future__ import annotations

from responses_api.backends.fleet import Fleet, rest_seconds
from responses_api.backends.registry import Registry
from responses_api.breaker import BreakerState
from responses_api.config.schema import BackendConfig, RouterConfig, RoutingConfig
from responses_api.errors import BackendError, DeadlinePassed, RateLimited

CONFIG = RouterConfig(backends=tuple(BackendConfig(name, f"http://{name}/v1") for name in "abc"))
ERROR = BackendError("it broke.")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fleet(clock: Clock | None = None, **rules: float) -> Fleet:
    return Fleet(Registry(CONFIG), RoutingConfig(**{"breaker_failures": 1, **rules}), clock or Clock())  # type: ignore[arg-type]


def fail(fleet: Fleet, name: str) -> None:
    endpoint = next(each for each in fleet.registry.endpoints if each.name == name)
    fleet.allows(endpoint)
    fleet.begin(endpoint)
    fleet.end(endpoint, ERROR, None)


def succeed(fleet: Fleet, name: str) -> None:
    endpoint = next(each for each in fleet.registry.endpoints if each.name == name)
    fleet.allows(endpoint)
    fleet.begin(endpoint)
    fleet.end(endpoint, None, 0.1)


def names(fleet: Fleet, **hints: str) -> list[str]:
    return [each.name for each in fleet.candidates("m", **hints)]


def test_one_that_failed_is_no_candidate_until_its_pause_is_over() -> None:
    clock = Clock()
    sick = fleet(clock, breaker_pause=2)
    fail(sick, "a")
    assert sorted(names(sick)) == ["b", "c"]
    clock.now = 2
    assert names(sick)[0] == "a"  # the trial, with somebody behind it
    assert len(names(sick)) == 3


def test_everyone_hears_what_happened() -> None:
    clock, told = Clock(), []
    sick = fleet(clock, breaker_pause=2)
    sick.tell = lambda name, seconds, reason: told.append((name, seconds, reason))
    fail(sick, "a")
    clock.now = 2
    succeed(sick, "a")
    assert told == [("a", 2, "it broke"), ("a", 0.0, "")]
    assert sick.state("a") is BreakerState.CLOSED


def test_what_calls_found_out_no_probe_takes_back() -> None:
    sick = fleet(breaker_pause=2)
    fail(sick, "a")
    sick.note_probe("a", 0, "")
    assert sick.state("a") is BreakerState.OPEN


def test_what_a_probe_found_out_a_probe_takes_back() -> None:
    sick = fleet(breaker_pause=2)
    sick.note_probe("a", 1, "silent")
    assert sick.state("a") is BreakerState.CLOSED
    sick.note_probe("a", 2, "silent")
    assert sick.state("a") is BreakerState.OPEN
    assert sorted(names(sick)) == ["b", "c"]
    sick.note_probe("a", 0, "")
    assert len(names(sick)) == 3


def test_what_others_say_holds_here() -> None:
    clock = Clock()
    mine = fleet(clock)
    mine.learn("b", 5, "they say")
    assert sorted(names(mine)) == ["a", "c"]
    assert "they say" in mine.refusal("m").message
    mine.learn_recovery("b")
    assert len(names(mine)) == 3


def test_while_all_are_spared_all_are_told() -> None:
    sick = fleet(breaker_pause=7)
    for name in "abc":
        fail(sick, name)
    assert not any(sick.allows(each) for each in sick.candidates("m"))
    assert dict(sick.refusal("m").headers) == {"retry-after": "7"}


def test_a_conversation_stays_and_moves_alone() -> None:
    well = fleet()
    assert [names(well, served_by="b")[0] for _ in range(20)] == ["b"] * 20
    anchors = [f"conv_{number}" for number in range(300)]
    homes = {anchor: names(well, anchor=anchor)[0] for anchor in anchors}
    assert {*homes.values()} == {"a", "b", "c"}
    fail(well, "c")
    moved = {anchor: names(well, anchor=anchor)[0] for anchor in anchors}
    assert all(moved[anchor] == home for anchor, home in homes.items() if home != "c")


def test_a_client_without_patience_proves_nothing() -> None:
    clock = Clock()
    sick = fleet(clock, breaker_pause=2)
    fail(sick, "a")
    clock.now = 2
    trial = sick.candidates("m")[0]
    assert sick.allows(trial)
    sick.begin(trial)
    sick.end(trial, DeadlinePassed(), None)
    assert sick.state("a") is BreakerState.HALF_OPEN
    assert sick.allows(trial)  # somebody else may try


def test_calls_in_progress_are_counted() -> None:
    busy = fleet(breaker_failures=5)
    endpoint = busy.registry.endpoints[0]
    for _ in range(3):
        busy.begin(endpoint)
    busy.end(endpoint, None, 0.1)
    busy.end(endpoint, ERROR, None)
    assert busy.member(endpoint.name).in_flight == 1


def test_how_long_a_429_asks_for() -> None:
    def asked(*headers: tuple[str, str]) -> float:
        return rest_seconds(RateLimited("", headers=headers))

    assert asked(("retry-after", "7")) == 7
    assert asked(("retry-after-ms", "250"), ("retry-after", "7")) == 0.25
    assert asked(("retry-after", "100000")) == 60
    assert asked(("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")) == 1
    assert asked() == 1
