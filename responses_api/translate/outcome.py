"""How a run ended: its items, and the status that follows from the backend's finish reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from responses_api.shapes.items import Item
from responses_api.shapes.response import IncompleteDetails, Response, ResponseError, Usage

IncompleteReason = Literal["max_output_tokens", "content_filter"]

_INCOMPLETE: dict[str, IncompleteReason] = {"length": "max_output_tokens", "content_filter": "content_filter"}


def incomplete_reason(finish_reason: str | None) -> IncompleteReason | None:
    """`length` and `content_filter` leave a response incomplete; every other reason completes it."""
    return _INCOMPLETE.get(finish_reason or "")


@dataclass(slots=True)
class Outcome:
    """What the backend produced. `error` is set when the run failed; `output` then holds what came before."""

    output: list[Item] = field(default_factory=list)
    usage: Usage | None = None
    incomplete: IncompleteReason | None = None
    error: ResponseError | None = None
    service_tier: str | None = None


def conclude(response: Response, outcome: Outcome, now: int) -> None:
    """Brings `response` to its terminal state; `now` in Unix seconds. A later call overrides an earlier one."""
    response.output = outcome.output
    response.usage = outcome.usage
    response.error = outcome.error
    response.service_tier = outcome.service_tier or response.service_tier
    response.incomplete_details = IncompleteDetails(outcome.incomplete) if outcome.incomplete else None
    if outcome.error is not None:
        response.status = "failed"
    elif outcome.incomplete is not None:
        response.status = "incomplete"
    else:
        response.status = "completed"
    response.completed_at = now if response.status == "completed" else None
