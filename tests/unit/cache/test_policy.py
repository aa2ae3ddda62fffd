"""Hit, miss or stale: every edge of an entry's life."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from responses_api.cache.controls import NONE
from responses_api.cache.headers import asked_headers, given_headers
from responses_api.cache.policy import Judgement, Verdict, bypass_reason, judge
from responses_api.config.schema import ResponseCacheConfig

HIT, MISS, STALE = Verdict.HIT, Verdict.MISS, Verdict.STALE


@pytest.mark.parametrize(
    ("age", "controls", "verdict", "reason"),
    [
        (0, {}, HIT, "fresh"),
        (99.9, {}, HIT, "fresh"),
        (100, {}, MISS, "expired"),
        (10, {"max_age": 11}, HIT, "fresh"),
        (10, {"max_age": 10}, MISS, "expired"),
        (0, {"max_age": 0}, MISS, "expired"),
        (90, {"min_fresh": 10}, HIT, "fresh"),
        (90, {"min_fresh": 11}, MISS, "min-fresh"),
        (150, {"max_stale": 50}, STALE, "max-stale"),
        (150, {"max_stale": 49}, MISS, "expired"),
        (1e9, {"max_stale": inf}, STALE, "max-stale"),
        (150, {"stale_while_revalidate": 50}, STALE, "stale-while-revalidate"),
        (151, {"stale_while_revalidate": 50}, MISS, "expired"),
        (12, {"max_age": 10, "max_stale": 5}, STALE, "max-stale"),
    ],
)
def test_an_entry_that_was_given_100_seconds(
    age: float, controls: dict[str, Any], verdict: Verdict, reason: str
) -> None:
    judged = judge(age, 100, replace(NONE, **controls))
    assert (judged.verdict, judged.reason) == (verdict, reason)
    assert judged.revalidates == (reason == "stale-while-revalidate")


def test_a_fallback_is_for_errors_only() -> None:
    assert judge(150, 100, replace(NONE, stale_if_error=50)).is_fallback
    assert not judge(151, 100, replace(NONE, stale_if_error=50)).is_fallback
    assert not judge(50, 100, replace(NONE, stale_if_error=50)).is_fallback


def test_who_is_bypassed() -> None:
    on, off = ResponseCacheConfig(default="on"), ResponseCacheConfig()
    assert bypass_reason(on, NONE) is None
    assert bypass_reason(off, NONE) == "not asked for"
    assert bypass_reason(off, replace(NONE, namespace="a")) is None
    assert bypass_reason(on, replace(NONE, no_store=True)) == "no-store"
    assert bypass_reason(ResponseCacheConfig(enabled=False, default="on"), NONE) == "disabled"


@pytest.mark.parametrize(
    ("judgement", "stored", "ignored", "status"),
    [
        (Judgement(MISS, "unknown"), True, (), "responses-router; fwd=miss; stored"),
        (Judgement(MISS, "expired"), True, (), 'responses-router; fwd=stale; stored; detail="expired"'),
        (Judgement(MISS, "no-cache"), False, (), 'responses-router; fwd=request; detail="no-cache"'),
        (Judgement(Verdict.COLLAPSED, "in flight"), False, (), "responses-router; fwd=miss; collapsed"),
        (Judgement(Verdict.BYPASS, "background"), False, (), 'responses-router; fwd=bypass; detail="background"'),
        (
            Judgement(MISS, "unknown"),
            False,
            ("x-cache-ttl",),
            'responses-router; fwd=miss; detail="ignored: x-cache-ttl"',
        ),
    ],
)
def test_what_is_told_of_what_was_asked(
    judgement: Judgement, stored: bool, ignored: tuple[str, ...], status: str
) -> None:
    assert dict(asked_headers(judgement, stored, ignored))[b"cache-status"].decode() == status


def test_what_is_told_of_what_was_given() -> None:
    told = dict(given_headers(Judgement(HIT, "fresh"), 59.9, 300, "cache_1", ()))
    assert told[b"cache-status"] == b"responses-router; hit; ttl=240"
    assert told[b"age"] == b"59"
    told = dict(given_headers(Judgement(STALE, "max-stale"), 312, 300, "cache_1", ()))
    assert told[b"cache-status"] == b'responses-router; hit; ttl=-12; detail="max-stale"'
    assert told[b"x-cache"] == b"STALE"
