"""Lists as OpenAI pages them: a limit, an order, `after` an id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from responses_api.errors import InvalidRequest
from responses_api.shapes.items import Item

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which slice is wanted: up to `limit` items of the list in `order`, beginning behind the item `after`."""

    limit: int
    order: str
    after: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a list of items."""

    items: Sequence[Item]
    has_more: bool

    def body(self) -> bytes:
        ids: list[Any] = [item["id"] for item in self.items]
        listing = {
            "object": "list",
            "data": self.items,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
            "has_more": self.has_more,
        }
        return msgspec.json.encode(listing)


def unknown_cursor(after: str) -> InvalidRequest:
    """For an `after` that names no item of the list."""
    return InvalidRequest(f"No item with id '{after[:100]}' in this list.", code="invalid_value", param="after")


def page_of(ascending: list[Item], wanted: PageRequest) -> Page:
    """The slice of a list that is at hand. Raises `InvalidRequest` for an `after` that is not in it."""
    items = ascending if wanted.order == "asc" else ascending[::-1]
    start = 0
    if wanted.after is not None:
        place = next((place for place, item in enumerate(items) if item["id"] == wanted.after), None)
        if place is None:
            raise unknown_cursor(wanted.after)
        start = place + 1
    end = start + wanted.limit
    return Page(items[start:end], len(items) > end)
