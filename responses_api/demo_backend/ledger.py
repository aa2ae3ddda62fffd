"""What arrived: counts of calls, and the last bodies, for `GET /calls` and for tests."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from responses_api.demo_backend.script import Target


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it came in: nothing is decoded before somebody asks."""

    kind: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def as_json(self) -> dict[str, Any]:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        return {"path": self.path, "headers": headers, "body": self._decoded()}

    def _decoded(self) -> Any:
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return self.body.decode(errors="replace")


class Ledger:
    """`keep_bodies` bounds the calls kept with what they said; 0 keeps none."""

    def __init__(self, keep_bodies: int) -> None:
        self.kept: deque[Call] = deque(maxlen=keep_bodies)
        self.aborted = 0
        self._counts: Counter[str] = Counter()
        self._clients: set[Any] = set()

    def arrived(self, kind: str, client: Any, call: Call | None = None) -> None:
        self._counts[kind] += 1
        self._clients.add(client)
        if call is not None:
            self.kept.append(call)

    def reset(self) -> None:
        self.kept.clear()
        self._clients.clear()
        self._counts.clear()
        self.aborted = 0

    def counts(self, in_flight: int) -> dict[str, int]:
        """By kind, and: `connections`, the distinct client addresses since the last reset; `in_flight` API calls."""
        return {
            "total": self._counts.total(),
            **{kind: self._counts[kind] for kind in get_args(Target)},
            "aborted": self.aborted,
            "in_flight": in_flight,
            "connections": len(self._clients),
        }
