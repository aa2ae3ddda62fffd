"""Headers → what they ask of the cache."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from responses_api.cache.controls import NONE, Controls, read_controls


def read(**headers: str) -> Controls:
    return read_controls({name.replace("_", "-").encode(): value.encode() for name, value in headers.items()})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content_type": "application/json"}, {}),
        ({"x_cache_key": "session-1"}, {"namespace": "session-1"}),
        ({"x_bf_cache_key": "session-1"}, {"namespace": "session-1"}),
        ({"x_bf_cache_key": "theirs", "x_cache_key": "ours"}, {"namespace": "ours"}),
        ({"x_cache_ttl": "30"}, {"ttl": 30}),
        ({"x_cache_ttl": "30s"}, {"ttl": 30}),
        ({"x_cache_ttl": "5m"}, {"ttl": 300}),
        ({"x_bf_cache_ttl": "1h"}, {"ttl": 3600}),
        ({"x_cache_no_store": "true"}, {"no_store": True}),
        ({"x_cache_no_store": "false", "cache_control": "no-store"}, {"no_store": False}),
        ({"x_cache_tags": "a, b,a"}, {"tags": ("a", "b")}),
        ({"x_cache_replay": "timed"}, {"timed": True}),
        ({"x_bf_cache_type": "direct"}, {}),
        ({"cache_control": "no-cache"}, {"no_cache": True}),
        ({"cache_control": "No-Store, max-age=5"}, {"no_store": True, "max_age": 5}),
        ({"cache_control": "max-stale"}, {"max_stale": inf}),
        ({"cache_control": 'max-stale="7"'}, {"max_stale": 7}),
        ({"cache_control": "only-if-cached, min-fresh=3"}, {"only_if_cached": True, "min_fresh": 3}),
        (
            {"cache_control": "stale-while-revalidate=9, stale-if-error=8"},
            {"stale_while_revalidate": 9, "stale_if_error": 8},
        ),
        ({"cache_control": "max-age=0, no-cache", "x_cache_ttl": "60"}, {"ttl": 60}),
        ({"cache_control": "private, something=else,,"}, {}),
        ({"cache_control": "max-age=soon"}, {"ignored": ("max-age",)}),
        ({"x_cache_ttl": "-5"}, {"ignored": ("x-cache-ttl",)}),
        ({"x_cache_ttl": "0"}, {"ignored": ("x-cache-ttl",)}),
        ({"x_cache_ttl": "5 weeks"}, {"ignored": ("x-cache-ttl",)}),
        ({"x_cache_key": ""}, {"ignored": ("x-cache-key",)}),
        ({"x_cache_key": "x" * 257}, {"ignored": ("x-cache-key",)}),
        ({"x_cache_no_store": "perhaps"}, {"ignored": ("x-cache-no-store",)}),
        ({"x_cache_tags": "a b"}, {"ignored": ("x-cache-tags",)}),
        ({"x_cache_replay": "fast"}, {"ignored": ("x-cache-replay",)}),
        ({"x_bf_cache_type": "semantic"}, {"ignored": ("x-bf-cache-type",)}),
        ({"x_bf_cache_threshold": "0.8"}, {"ignored": ("x-bf-cache-threshold",)}),
    ],
)
def test_what_is_read(headers: dict[str, str], expected: dict[str, Any]) -> None:
    found = read(**headers)
    told = {name: getattr(found, name) for name in Controls.__slots__ if getattr(found, name) != getattr(NONE, name)}
    assert told == {name: value for name, value in expected.items() if value != getattr(NONE, name)}


def test_the_same_headers_are_the_same_object() -> None:
    assert read(x_cache_key="a") is read(x_cache_key="a")
