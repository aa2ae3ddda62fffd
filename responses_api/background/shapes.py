"""What web processes, workers and those who look after runs tell each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from responses_api.limits import Allowance
from responses_api.shapes.response import Response

UNFINISHED = ("queued", "in_progress")
FIRST_LOOK_SECONDS = 5.0
"""After which a run is looked for that should have been claimed long ago."""

Nudge = tuple[str, int]
"""A response's id and its priority in the queue, 0 (first) to 9."""
Enqueue = Callable[[Sequence[Nudge]], None]
"""Puts runs into the workers' queue; blocks, and may raise anything. Lost nudges are repeated."""


class Submitted(Struct):
    """What a worker needs to know of the request, beside its body."""

    project: str
    request_id: str
    request_bytes: int
    created_at: int
    streams: bool
    priority: int
    conversation_id: str | None = None
    allowances: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over; `at` in Unix seconds."""

    project: str
    response_id: str
    status: str
    at: float


submitted_of = msgspec.json.Decoder(Submitted).decode
response_of = msgspec.json.Decoder(Response).decode
