"""Query parameters, checked. Each function raises `InvalidRequest` that names the parameter and what it may be."""

from __future__ import annotations

from collections.abc import Sequence

from drf_spectacular.utils import OpenApiParameter

from responses_api.api.http import Request
from responses_api.errors import InvalidRequest
from responses_api.paging import PageRequest
from responses_api.shapes.request import INCLUDABLE
from responses_api.shapes.validation import invalid_value


def read_text(request: Request, name: str) -> str | None:
    values = request.query.get(name)
    return values[-1] if values and values[-1] else None


def read_choice(request: Request, name: str, choices: Sequence[str], *, default: str) -> str:
    value = read_text(request, name)
    if value is not None and value not in choices:
        raise invalid_value(value, list(choices), name)
    return value or default


def read_flag(request: Request, name: str) -> bool:
    return read_choice(request, name, ("true", "false"), default="false") == "true"


def read_integer(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    """A whole number between `low` and `high`, both included."""
    text = read_text(request, name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidRequest(
            f"Invalid type for '{name}': expected an integer, but got '{text[:40]}' instead.",
            code="invalid_type",
            param=name,
        )
    value = int(text)
    if value < low or value > high:
        below = value < low
        raise InvalidRequest(
            f"Invalid '{name}': integer {'below minimum' if below else 'above maximum'} value. "
            f"Expected a value {'>=' if below else '<='} {low if below else high}, but got {value} instead.",
            code=f"integer_{'below_min' if below else 'above_max'}_value",
            param=name,
        )
    return value


PAGE_PARAMETERS = [
    OpenApiParameter("limit", int, description="1 to 100; default 20"),
    OpenApiParameter("order", str, enum=["asc", "desc"], description="default desc"),
    OpenApiParameter("after", str, description="an item's id: the page begins behind it"),
]


def read_include(request: Request) -> list[str]:
    """`include`, checked. What it names is there already, as far as the backend gave it."""
    included = [each for value in request.query.get("include", ()) for each in value.split(",")]
    for each in included:
        if each not in INCLUDABLE:
            raise invalid_value(each, list(INCLUDABLE), "include")
    return included


def read_page(request: Request) -> PageRequest:
    """`limit` (1 to 100, 20), `order` (`desc`), `after`."""
    return PageRequest(
        limit=read_integer(request, "limit", default=20, low=1, high=100),
        order=read_choice(request, "order", ("asc", "desc"), default="desc"),
        after=read_text(request, "after"),
    )
