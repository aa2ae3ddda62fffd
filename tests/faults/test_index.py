"""The drain of the index: each request has one row and counts once, wherever it is interrupted."""

from __future__ import annotations

import time
from hashlib import sha1

import pytest
from redis.lock import Lock

from tests.faults.faults import Fault
from tests.faults.holds import Ledger
from tests.faults.report import Report
from tests.faults.site import FaultSite
from tests.faults.stages import state

# Asked before the commit, and by a drain that has something to write only; another script gives the lock back.
REACQUIRE = sha1(Lock.LUA_REACQUIRE_SCRIPT.encode()).hexdigest().encode()
STAGES = {
    "as it reads": state(rb"XRANGE\r\n\$8\r\nsr:index", forwards=True),
    "before SQL commits": state(REACQUIRE, forwards=True),
    "between SQL and Redis": state(rb"XDEL\r\n\$8\r\nsr:index", forwards=False),
    "as Redis has forgotten": state(rb"XDEL\r\n\$8\r\nsr:index", forwards=True),
}
OF_ALL = ("upkeep worker killed", "Redis killed", "connections to Redis cut")
CASES = [
    *((stage, fault) for stage in STAGES for fault in OF_ALL),
    ("between SQL and Redis", "upkeep worker stopped"),
    ("as it reads", "beat killed"),
]


@pytest.mark.parametrize(("stage", "fault"), CASES, indirect=["fault"], ids=[", ".join(each) for each in CASES])
def test_a_drain(site: FaultSite, ledger: Ledger, report: Report, stage: str, fault: Fault) -> None:
    def act() -> None:
        for number in range(5):
            answer = site.post(input=f"{stage}, {fault.name}, {number}")
            if answer.status_code == 200:  # else it was not acknowledged
                ledger.note(answer.json())

    began = time.monotonic()
    STAGES[stage].struck(site, fault, act)
    ledger.check_indexed()
    report.add("index drain", stage, fault.name, "one row each, counted once", time.monotonic() - began)
