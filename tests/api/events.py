"""Reading an event stream as strictly as the strictest client does."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec


def read_events(response: httpx.Response, first: int = 0) -> list[dict[str, Any]]:
    """All events of a stream, numbered from `first` on; fails unless each is well formed and `[DONE]` ends them."""
    assert response.headers["content-type"].startswith("text/event-stream")
    *frames, done, rest = response.read().decode().split("\n\n")
    assert done == "data: [DONE]"
    assert rest == ""
    events = []
    for frame in frames:
        if frame.startswith(":"):
            continue
        name, data = frame.split("\n")
        event: dict[str, Any] = msgspec.json.decode(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(first, first + len(events)))
    return events


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]
