"""Sums over spans of time: what counts, once, and where it is found again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_api import traffic
from responses_api.index_entry import IndexEntry
from responses_api.traffic import Traffic

NOON = 1_700_000_000 - 1_700_000_000 % 3600


def entry(**fields: Any) -> IndexEntry:
    defaults = {"id": "resp_1", "project": "p", "created_at": NOON + 61, "status": "completed", "model": "m"}
    return IndexEntry(**{**defaults, **fields})


def test_a_request_is_in_every_bucket_it_belongs_to() -> None:
    found = traffic.by_bucket([entry(backend="b"), entry(id="resp_2", backend="b", created_at=NOON + 130)], {})
    assert {(key, value.requests) for key, value in found.items() if key[1] != "model"} >= {
        ((60, NOON + 60, "all", ""), 1),
        ((60, NOON + 120, "all", ""), 1),
        ((900, NOON, "all", ""), 2),
        ((3600, NOON, "all", ""), 2),
        ((3600, NOON, "project", "p"), 2),
        ((3600, NOON, "model", "m"), 2),
        ((3600, NOON, "backend", "b"), 2),
    }


@pytest.mark.parametrize("fields", [{"status": "queued"}, {"status": "in_progress"}, {"op": "delete"}], ids=str)
def test_what_has_not_ended_does_not_count(fields: dict[str, Any]) -> None:
    assert traffic.by_bucket([entry(**fields)], {}) == {}


def test_a_request_without_a_backend_is_in_no_backends_bucket() -> None:
    assert {key[2] for key in traffic.by_bucket([entry(model="")], {})} == {"all", "project"}


def test_tokens_are_spent_or_saved() -> None:
    sums = Traffic()
    for verdict in ("miss", "bypass", "hit", "stale", "collapsed"):
        sums.add(entry(verdict=verdict, input_tokens=10, output_tokens=3))
    assert (sums.input_tokens, sums.output_tokens) == (20, 6)
    assert (sums.saved_input_tokens, sums.saved_output_tokens) == (30, 9)
    assert sums.hit_ratio == 0.75
    assert Traffic().hit_ratio is None


def requests_and_failures(entries: list[IndexEntry], before: dict[str, str]) -> tuple[int, int]:
    sums = traffic.total(value for key, value in traffic.by_bucket(entries, before).items() if key[0] == 60)
    return sums.requests, sums.failed


def test_what_ends_twice_is_one_request() -> None:
    first, again = entry(model="", project=""), entry(model="", project="")
    failed = entry(model="", project="", status="failed")
    assert requests_and_failures([first, again], {}) == (1, 0)
    assert requests_and_failures([again], {first.id: "completed"}) == (0, 0)
    assert requests_and_failures([first, failed, failed], {}) == (1, 1)
    assert requests_and_failures([failed], {first.id: "completed"}) == (0, 1)
    assert requests_and_failures([failed], {first.id: "failed"}) == (0, 0)


@given(st.lists(st.floats(0.02, 1e6), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_are_right_to_within_the_scale(latencies: list[float], share: float) -> None:
    sums = Traffic()
    for each in latencies:
        sums.add(entry(duration_ms=each))
    exact = sorted(latencies)[max(0, -(-len(latencies) * share // 1).__int__() - 1)]
    found = traffic.quantile(sums.duration, share)
    assert found is not None
    assert exact / 1.1 <= found <= exact * 1.1
    assert traffic.quantile({}, share) is None


@given(st.lists(st.tuples(st.sampled_from(["hit", "miss"]), st.floats(0, 1e5)), max_size=30), st.integers(0, 30))
def test_parts_add_up_to_the_whole(requests: list[tuple[str, float]], cut: int) -> None:
    entries = [entry(verdict=verdict, duration_ms=ms, first_token_ms=ms / 2) for verdict, ms in requests]
    parts = [Traffic(), Traffic(), Traffic()]
    for each in entries:
        parts[2].add(each)
    for part, some in zip(parts, (entries[:cut], entries[cut:]), strict=False):
        for each in some:
            part.add(each)
    assert traffic.decode(traffic.encode(traffic.total(parts[:2]))) == parts[2]


def test_a_time_that_is_none_stops_nothing() -> None:
    assert traffic.by_bucket([entry(created_at=1e300)], {})
