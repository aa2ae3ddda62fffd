"""Background runs while worker, web and Valkey are killed: every one that was accepted ends, once, and well."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.launcher.running_site import RunningSite

pytestmark = pytest.mark.processes

RUNS = 200
PATIENCE_SECONDS = 60
# A little over a second each, 64 at a time.
SCRIPT = {"tokens": 20, "tokens_per_second": 15}


def submit(client: httpx.Client, **fields: Any) -> str:
    """Until it is accepted: what is refused, or cut off, is the client's to send again."""
    body = {"model": "demo", "input": "hi", "background": True, "demo_script": SCRIPT, **fields}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert time.monotonic() < deadline
        try:
            answer = client.post("/v1/responses", json=body)
            if answer.status_code == 200:
                return str(answer.json()["id"])
        except httpx.HTTPError:
            pass
        time.sleep(0.1)


def ask(client: httpx.Client, response_id: str) -> dict[str, Any] | None:
    try:
        answer = client.get(f"/v1/responses/{response_id}")
    except httpx.HTTPError:
        return None
    assert answer.status_code in (200, 503), answer.text
    return answer.json() if answer.status_code == 200 else None


def wait_for_all(client: httpx.Client, ids: list[str]) -> dict[str, dict[str, Any]]:
    over: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(over) < len(ids):
        for each in [each for each in ids if each not in over]:
            response = ask(client, each)
            if response is not None and response["status"] not in ("queued", "in_progress"):
                over[each] = response
        assert time.monotonic() < deadline, f"{len(ids) - len(over)} did not end"
        time.sleep(0.2)
    return over


def frames(lines: Any) -> list[dict[str, Any]]:
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: {")]
    return [msgspec.json.decode(each) for each in data]


def test_every_accepted_run_ends_well(tmp_path: Path) -> None:
    site = RunningSite(tmp_path / "var").wait_until_ready()
    with httpx.Client(base_url=site.url, timeout=10) as client, ThreadPoolExecutor(8) as pool:
        submitting = [pool.submit(submit, client) for _ in range(RUNS)]
        for part in ("worker", "web", "valkey", "worker"):
            time.sleep(1)
            site.kill_part(part)
        ids = [each.result() for each in submitting]
        over = wait_for_all(client, ids)
        assert Counter(response["status"] for response in over.values()) == {"completed": RUNS}
        assert {response["output_text"] for response in over.values()} == {"word " * 20}
    assert site.stop() == 0


def test_a_stream_outlives_the_web_process_that_began_it(tmp_path: Path) -> None:
    site = RunningSite(tmp_path / "var").wait_until_ready()
    body = {
        "model": "demo",
        "input": "hi",
        "background": True,
        "stream": True,
        "demo_script": {"tokens": 60, "tokens_per_second": 20},
    }
    seen: list[dict[str, Any]] = []

    def read_until_it_breaks() -> None:
        with client.stream("POST", "/v1/responses", json=body) as answer:
            for line in answer.iter_lines():
                seen.extend(frames([line]))
                if len(seen) == 10:
                    site.kill_part("web")

    with httpx.Client(base_url=site.url, timeout=10) as client:
        with pytest.raises(httpx.HTTPError):
            read_until_it_breaks()
        response_id = seen[0]["response"]["id"]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while ask(client, response_id) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        after = {"stream": "true", "starting_after": str(seen[-1]["sequence_number"])}
        with client.stream("GET", f"/v1/responses/{response_id}", params=after) as answer:
            rest = frames(answer.iter_lines())
    assert [event["sequence_number"] for event in (*seen, *rest)] == list(range(len(seen) + len(rest)))
    assert rest[-1]["type"] == "response.completed"
    assert "".join(event.get("delta", "") for event in (*seen, *rest)) == "word " * 60
    assert site.stop() == 0
