"""Background runs: submitted together, waited for by their index of unfinished ones."""

from __future__ import annotations

import time

import httpx

from bench.load import LoadError

_PATIENCE_SECONDS = 60
_LOOK_SECONDS = 0.05


def run(port: int, model: str, number: int) -> None:
    """Returns when all are over. Raises `LoadError` where one fails or they take too long."""
    body = {"model": model, "input": "What do you think of this?", "background": True}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", trust_env=False, timeout=10) as client:
        waiting = [client.post("/responses", json=body).raise_for_status().json()["id"] for _ in range(number)]
        while waiting:
            # The last submitted is among the last to end: asking for all of them would be the load.
            status = client.get(f"/responses/{waiting[-1]}").raise_for_status().json()["status"]
            if status == "completed":
                waiting.pop()
            elif status not in ("queued", "in_progress"):
                raise LoadError(f"a background run ended as {status}")
            else:
                time.sleep(_LOOK_SECONDS)
            if time.monotonic() > deadline:
                raise LoadError(f"{len(waiting)} of {number} background runs did not end")
