"""A request whose web process, Redis or backend fails at each stage of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from responses_api.stores import redis_conversations
from tests.faults.faults import Fault
from tests.faults.holds import Ledger
from tests.faults.report import Report
from tests.faults.site import FaultSite
from tests.faults.stages import backend, state

ANSWER_SECONDS = 15
"""Within which a client is told something, whatever happens."""
WRITE = rb"\$3\r\nSET\r\n\$\d+\r\nsr:response:resp_"


STAGES = {
    "before the backend is asked": state(redis_conversations._LOCK.digest.encode(), forwards=False),
    "while the backend answers": backend(rb"POST /v1/chat", forwards=True),
    "between answer and store": state(WRITE, forwards=False),
    "between store and answer": state(WRITE, forwards=True),
}
OF_ALL = ("web process killed", "web process stopped", "Redis killed", "Redis stopped", "connections to Redis cut")
OF_BACKENDS = ("backend killed", "backend stopped", "backend slow", "connections to backend cut")
CASES = [
    *((stage, fault) for stage in STAGES for fault in OF_ALL),
    *(
        (stage, fault)
        for stage in ("before the backend is asked", "while the backend answers")
        for fault in OF_BACKENDS
    ),
    ("before the backend is asked", "Redis slow"),
]


def ask(site: FaultSite, **body: Any) -> httpx.Response | None:
    """None: the connection broke."""
    try:
        return site.post(**body)
    except httpx.HTTPError:
        return None


@pytest.mark.parametrize(("stage", "fault"), CASES, indirect=["fault"], ids=[", ".join(each) for each in CASES])
def test_request(site: FaultSite, ledger: Ledger, report: Report, stage: str, fault: Fault) -> None:
    conversation = httpx.post(f"{site.url}/v1/conversations", json={}, timeout=10).json()["id"]
    body = {"input": f"{stage}, {fault.name}", "conversation": conversation}
    answer, answered_in = STAGES[stage].struck(site, fault, lambda: ask(site, **body))
    assert answered_in < ANSWER_SECONDS
    if answer is None:
        assert fault.name == "web process killed"
        outcome = "connection lost; the next request succeeds"
    elif answer.status_code == 200:
        ledger.note(answer.json())
        outcome = "answered"
    else:
        assert answer.status_code in (502, 503, 504), answer.text
        assert answer.json()["error"]["message"]
        outcome = f"{answer.status_code}; the next request succeeds"
    after = site.post(input="And now?", previous_response_id=answer.json()["id"]) if outcome == "answered" else None
    after = after or site.post(input="And now?")
    assert after.status_code == 200, after.text
    ledger.note(after.json())
    report.add("request", stage, fault.name, outcome, answered_in)
    check_conversation(site, conversation, answer)


def check_conversation(site: FaultSite, conversation: str, answer: httpx.Response | None) -> None:
    """Whole turns only, each once; what was acknowledged is among them."""
    items = site.get(f"/v1/conversations/{conversation}/items", limit=100, order="asc").json()["data"]
    assert [item["role"] for item in items] in ([], ["user", "assistant"])
    if answer is not None and answer.status_code == 200:
        assert [item["id"] for item in items[1:]] == [item["id"] for item in answer.json()["output"]]
