"""Background runs: whatever fails at whatever stage, an accepted run ends once, and its record says how."""

from __future__ import annotations

import time
from typing import Any

import httpx
import msgspec
import pytest

from responses_api.stores import redis_runs
from tests.faults.faults import Fault
from tests.faults.holds import Ledger, eventually
from tests.faults.report import Report
from tests.faults.site import FaultSite
from tests.faults.stages import backend, state

END = redis_runs._CLOSE.digest.encode()
STAGES = {
    "as a worker takes it": state(redis_runs._CLAIM.digest.encode(), forwards=True),
    "in the run": backend(rb"POST /v1/chat", forwards=True),
    "before its end is written": state(END, forwards=False),
    "as its end has been written": state(END, forwards=True),
}
OF_ALL = ("worker killed", "Redis killed", "connections to Redis cut", "broker killed")
CASES = [
    *((stage, fault) for stage in STAGES for fault in OF_ALL),
    *((stage, "worker stopped for long") for stage in ("in the run", "before its end is written")),
    *(
        ("in the run", fault)
        for fault in (
            "web process killed",
            "upkeep worker killed",
            "beat killed",
            "Redis stopped",
            "Redis slow",
            "broker stopped",
            "connections to broker cut",
            "backend stopped",
            "backend slow",
        )
    ),
]
UNASKED_FAULTS = ("broker killed", "broker stopped", "connections to broker cut", "worker killed", "Redis killed")


def submit(site: FaultSite, **body: Any) -> str:
    answer = site.post(background=True, **body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def ended(site: FaultSite, response_id: str) -> dict[str, Any]:
    """The response once it is over."""
    found: dict[str, Any] = {}

    def is_over() -> bool:
        try:
            answer = site.get(f"/v1/responses/{response_id}")
        except httpx.HTTPError:
            return False
        if answer.status_code == 200:
            found.update(answer.json())
        return answer.status_code == 200 and found["status"] not in ("queued", "in_progress")

    eventually(is_over)
    return found


@pytest.mark.parametrize(("stage", "fault"), CASES, indirect=["fault"], ids=[", ".join(each) for each in CASES])
def test_a_run(site: FaultSite, ledger: Ledger, report: Report, stage: str, fault: Fault) -> None:
    def act() -> dict[str, Any]:
        return ended(site, submit(site, input=f"{stage}, {fault.name}"))

    response, seconds = STAGES[stage].struck(site, fault, act)
    assert response["status"] == "completed", response["error"]
    ledger.note(response)
    report.add("background run", stage, fault.name, "completed", seconds)


@pytest.mark.parametrize("fault", UNASKED_FAULTS, indirect=True, ids=UNASKED_FAULTS)
def test_runs_submitted_during_an_outage(site: FaultSite, ledger: Ledger, report: Report, fault: Fault) -> None:
    """What is refused is refused in words; what is accepted ends."""
    accepted: list[str] = []
    refused: list[httpx.Response] = []

    def submit_some() -> None:
        for number in range(5):
            answer = site.post(background=True, input=f"{fault.name} {number}")
            if answer.status_code == 200:
                accepted.append(answer.json()["id"])
            else:
                refused.append(answer)

    struck_at = time.monotonic()
    fault.happen(submit_some)
    assert {answer.status_code for answer in refused} <= {503}
    assert bool(refused) == (fault.name == "Redis killed")
    for response_id in accepted:
        response = ended(site, response_id)
        assert response["status"] == "completed", response["error"]
        ledger.note(response)
    outcome = "503, in words" if refused else "accepted and completed"
    report.add("background run", "as it is submitted", fault.name, outcome, time.monotonic() - struck_at)


@pytest.mark.parametrize("fault", ["worker killed", "Redis killed", "web process killed"], indirect=True)
def test_a_stream_of_events(site: FaultSite, report: Report, fault: Fault) -> None:
    """Every event once, in order, up to a last one; what has been said is not said again."""
    script = {"tokens": 40, "tokens_per_second": 20}
    response_id = submit(site, input="count", demo_script=script)
    streamed = submit_stream(site, script)
    time.sleep(0.7)
    struck_at = time.monotonic()
    fault.happen(lambda: None)
    assert ended(site, response_id)["output_text"] == "word " * 40
    response = ended(site, streamed)
    seconds = time.monotonic() - struck_at
    with httpx.stream("GET", f"{site.url}/v1/responses/{streamed}", params={"stream": "true"}, timeout=30) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: {")]
    events = [msgspec.json.decode(line) for line in lines]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events].count(f"response.{response['status']}") == 1
    said = "".join(event.get("delta", "") for event in events)
    if fault.name == "worker killed":
        assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
        assert ("word " * 40).startswith(said)
    else:
        assert (response["status"], said) == ("completed", "word " * 40)
    outcome = "failed, with a reason" if response["status"] == "failed" else "completed"
    report.add("streamed background run", "in the run", fault.name, f"{outcome}; every event once", seconds)


def submit_stream(site: FaultSite, script: dict[str, Any]) -> str:
    """Submits it, and leaves after the first event."""
    body = {"model": "demo", "input": "count", "background": True, "stream": True, "demo_script": script}
    with httpx.stream("POST", f"{site.url}/v1/responses", json=body, timeout=30) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                return str(msgspec.json.decode(line.removeprefix("data: "))["response"]["id"])
    raise AssertionError("no event")
