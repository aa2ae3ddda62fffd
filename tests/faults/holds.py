"""What holds after every fault: nothing acknowledged is lost or doubled, nothing is left behind."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.faults.site import FaultSite

PATIENCE_SECONDS = 30


def eventually(is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Raises `AssertionError` where it does not come true."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if is_so():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class Ledger:
    """What clients were told is stored, and the checks against it."""

    def __init__(self, site: FaultSite) -> None:
        self._site = site
        self.acknowledged: dict[str, str] = {}
        """Id → the text that was answered."""

    def note(self, answer: dict[str, Any]) -> None:
        self.acknowledged[answer["id"]] = answer["output_text"]

    def check_kept(self) -> None:
        """All that was ever acknowledged is there as it was told."""
        for response_id, text in self.acknowledged.items():
            found = self._site.get(f"/v1/responses/{response_id}")
            assert found.status_code == 200, (response_id, found.text)
            assert (found.json()["status"], found.json()["output_text"]) == ("completed", text)
            assert self._site.get(f"/v1/responses/{response_id}/input_items").json()["data"] != []

    def check_indexed(self) -> None:
        """Each has a row, and every request that ended counts once in the charts."""
        eventually(lambda: self._site.redis.xlen("sr:index") == 0)
        eventually(lambda: set(self.acknowledged) <= {row[0] for row in self._rows()})
        rows = dict(self._rows())
        assert {each: rows[each] for each in self.acknowledged if rows[each] != "completed"} == {}
        ended = sum(status in ("completed", "incomplete", "failed", "cancelled") for status in rows.values())
        assert self._counted() == ended, rows

    def check_nothing_is_left(self) -> None:
        """No run, lock, lease or flight outlives what it was for."""
        redis = self._site.redis
        eventually(lambda: redis.zcard("sr:background") == 0)
        for key in redis.scan_iter("*", count=1000):
            name = key.decode()
            if name.endswith((":lock", ":flight", ":log", ":events", ":run")):
                assert redis.ttl(key) != -1, f"{name} stays for ever"
        runs = list(redis.scan_iter("*}:run", count=1000))
        assert [key for key in runs if redis.hget(key, "state") in (b"queued", b"running")] == []

    def _rows(self) -> list[tuple[str, str]]:
        return self._query("SELECT id, status FROM responses_api_responseindex")

    def _counted(self) -> int:
        buckets = self._query(
            "SELECT traffic, name FROM responses_api_trafficbucket WHERE seconds = 60 AND dimension = 'all'"
        )
        return sum(json.loads(traffic).get("requests", 0) for traffic, _ in buckets)

    def _query(self, sql: str) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(f"file:{self._site.database}?mode=ro", uri=True, timeout=10)) as database:
            return list(database.execute(sql))
