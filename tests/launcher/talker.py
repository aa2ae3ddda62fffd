"""A client under load, for tests that kill what it talks to."""

from __future__ import annotations

import threading
import time

import httpx


class Talker(threading.Thread):
    """A client that goes on with its own chain, and remembers what it was told is stored."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.acknowledged: list[str] = []
        self.longest_gap = 0.0
        """Seconds between two answers."""
        self.is_done = False

    def run(self) -> None:
        latest = time.monotonic()
        with httpx.Client(base_url=self._url, timeout=10) as client:
            while not self.is_done:
                previous = {"previous_response_id": self.acknowledged[-1]} if self.acknowledged else {}
                try:
                    answer = client.post("/v1/responses", json={"model": "demo", "input": "Go on.", **previous})
                except httpx.HTTPError:  # killed under our hands: this one was not acknowledged
                    continue
                if answer.status_code == 200:
                    self.acknowledged.append(answer.json()["id"])
                    now = time.monotonic()
                    self.longest_gap, latest = max(self.longest_gap, now - latest), now
