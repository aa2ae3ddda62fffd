"""The cache: whatever fails as an answer is kept, a repeat is answered rightly, and the books are right."""

from __future__ import annotations

from itertools import count
from typing import Any

import httpx
import pytest

from responses_api.cache import flights
from tests.faults.faults import Fault
from tests.faults.holds import eventually
from tests.faults.report import Report
from tests.faults.site import FaultSite
from tests.faults.stages import state

LAND = flights._LAND.digest.encode()
STAGES = {
    "before the answer lands": state(LAND, forwards=False),
    "as the answer has landed": state(LAND, forwards=True),
    "before a worker files it": state(rb"HMGET\r\n\$\d+\r\n\{sr:cache:[0-9a-f]+\}:flight", forwards=False),
    "before it is in the books": state(rb"ZPOPMIN", forwards=False),
    "between books and entry": state(rb"ZPOPMIN", forwards=True),
    "as the entry is written": state(rb"ARGV\[1\], 'PX', ARGV\[2\]", forwards=True),
}
IN_THE_WEB = ("web process killed", "Redis killed", "connections to Redis cut", "Redis stopped")
IN_A_WORKER = ("upkeep worker killed", "Redis killed", "connections to Redis cut", "broker killed")
CASES = [(stage, fault) for stage in STAGES for fault in (IN_THE_WEB if "answer" in stage else IN_A_WORKER)]


numbers = count()
"""Each question is asked for the first time, however often the fault is tried."""


def ask(site: FaultSite, text: str) -> dict[str, Any] | None:
    """The answer; None: there was none."""
    try:
        answer = site.post(input=text, store=False, headers={"x-cache-key": "faults"})
    except httpx.HTTPError:
        return None
    assert answer.status_code in (200, 503), answer.text
    return {**answer.json(), "x-cache": answer.headers["x-cache"]} if answer.status_code == 200 else None


@pytest.mark.parametrize(("stage", "fault"), CASES, indirect=["fault"], ids=[", ".join(each) for each in CASES])
def test_an_answer(site: FaultSite, report: Report, stage: str, fault: Fault) -> None:
    text = f"Say {next(numbers)}: {stage}, {fault.name}."
    first, seconds = STAGES[stage].struck(site, fault, lambda: ask(site, text))
    assert seconds < 15
    eventually(lambda: (ask(site, text) or {}).get("x-cache") == "HIT")
    again = ask(site, text)
    assert again is not None
    assert first is None or again["output_text"] == first["output_text"]
    outcome = "answered; hits from then on" if first else "connection lost; asked again, then hits"
    report.add("cache", stage, fault.name, outcome, seconds)


def test_books_tell_the_truth(site: FaultSite) -> None:
    """No entry is unknown to them, and none counts twice. What they list and is not there was not filed in time."""
    redis = site.redis
    sizes = dict(redis.zrange("{sr:cache:books:default}:bytes", 0, -1, withscores=True))
    assert sizes
    assert int(redis.get("{sr:cache:books:default}:total")) == sum(sizes.values())
    for key in redis.scan_iter("{sr:cache:*}:entry", count=1000):
        digest = key.removeprefix(b"{sr:cache:").removesuffix(b"}:entry")
        assert sizes[digest] == redis.strlen(key)


PURGES = {
    "before anything is purged": state(rb"HINCRBY\r\n\$\d+\r\nsr:cache:epochs", forwards=False),
    "as it has become known": state(rb"INCR\r\n\$\d+\r\nsr:cache:generation", forwards=True),
    "as entries are removed": state(rb"ZSCAN", forwards=True),
}
PURGE_CASES = [(stage, fault) for stage in PURGES for fault in ("web process killed", "Redis killed", "Redis stopped")]


@pytest.mark.parametrize(
    ("stage", "fault"), PURGE_CASES, indirect=["fault"], ids=[", ".join(each) for each in PURGE_CASES]
)
def test_a_purge(site: FaultSite, report: Report, stage: str, fault: Fault) -> None:
    """One that is acknowledged is in force; one that is not can be repeated."""
    text = f"Purged: {stage}, {fault.name}."
    eventually(lambda: (ask(site, text) or {}).get("x-cache") == "HIT")
    purged, seconds = PURGES[stage].struck(site, fault, lambda: purge(site))
    if not purged:
        assert purge(site)
    answer = ask(site, text)
    assert answer is not None
    assert answer["x-cache"] == "MISS"
    outcome = "purged" if purged else "refused or cut off; purged by the next"
    report.add("purge", stage, fault.name, outcome, seconds)


def purge(site: FaultSite) -> bool:
    """Was it acknowledged?"""
    try:
        answer = httpx.post(f"{site.url}/v1/cache/purge", json={"all": True}, timeout=30)
    except httpx.HTTPError:
        return False
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200
