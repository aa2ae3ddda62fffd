"""Rows of the index, filtered and paged by key: as fast on the last page of a million rows as on the first.

No page looks at more than `MAX_SCANNED` rows. What the leading filter selects comes from an index in order; the other
filters are applied to so many of those, and a page that found less than it could hold says how far it has looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from responses_api.models import ResponseIndex

PAGE_SIZE = 50
MAX_SCANNED = 25_000

EQUAL = ("conversation", "cache_entry", "status", "verdict", "backend", "model", "project")
"""Filters by one value, for each of which there is an index; the first given leads: it selects the fewest."""
PLAIN = ("api",)
"""Filters by one value without an index."""
FLAGS = ("stored", "stream", "background")
AT_LEAST = {"min_ms": "duration_ms", "min_tokens": "output_tokens", "min_bytes": "response_bytes"}
BETWEEN = ("since", "until")
NAMES = (*EQUAL, *PLAIN, *FLAGS, *AT_LEAST, *BETWEEN)


_EPOCH = datetime.fromtimestamp(0, UTC)


class BadFilter(ValueError):
    """The message names the filter and what it takes."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A row's place: pages go from the newest to the oldest."""

    created_at: datetime
    id: str

    def __str__(self) -> str:
        # In whole numbers, which are exact however late it gets.
        return f"{(self.created_at - _EPOCH) // timedelta(microseconds=1)}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        microseconds, _, row_id = text.replace("\x00", "").partition("-")
        try:
            seconds, rest = divmod(int(microseconds), 1_000_000)
            return cls(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), row_id)
        except (ValueError, OverflowError, OSError):
            raise BadFilter(f"'before' is no place in this list: {text[:60]!r}.") from None


@dataclass(frozen=True, slots=True)
class Filters:
    """What was asked for, by name, as text; only known names with something in them."""

    given: Mapping[str, str]

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Filters:
        """Raises `BadFilter`."""
        # PostgreSQL takes no NUL.
        given = {name: query.get(name, "").replace("\x00", "").strip() for name in NAMES}
        filters = cls({name: value for name, value in given.items() if value})
        filters.conditions("")  # says what is wrong now, not when the rows are read
        filters.times()
        return filters

    @property
    def leading(self) -> str | None:
        return next((name for name in EQUAL if name in self.given), None)

    def times(self) -> Q:
        """Raises `BadFilter`, as does `conditions`."""
        times = Q()
        for name, operator in zip(BETWEEN, ("created_at__gte", "created_at__lt"), strict=True):
            if name in self.given:
                times &= Q(**{operator: _time(name, self.given[name])})
        return times

    def candidates(self, before: Cursor | None) -> QuerySet[ResponseIndex]:
        """What the leading filter and the times select, the newest first."""
        rows = ResponseIndex.objects.filter(self.times()).order_by("-created_at", "-id")
        if self.leading is not None:
            rows = rows.filter(having(self.leading, self.given[self.leading]))
        if before is not None:
            # Said so, the index's range ends at the cursor.
            rows = rows.filter(created_at__lte=before.created_at)
            rows = rows.exclude(created_at=before.created_at, id__gte=before.id)
        return rows

    def conditions(self, table: str) -> tuple[list[str], list[Any]]:
        """The other filters as SQL over `table`."""
        conditions: list[str] = []
        values: list[Any] = []
        for name in (*EQUAL, *PLAIN):
            if name in self.given and name != self.leading:
                conditions.append(f"{table}.{name} = %s")
                values.append(self.given[name])
        for name in FLAGS:
            if name in self.given:
                conditions.append(f"{table}.{name} = %s")
                values.append(self.given[name] in ("1", "true", "yes"))
        for name, column in AT_LEAST.items():
            if name in self.given:
                conditions.append(f"{table}.{column} >= %s")
                values.append(_number(name, self.given[name]))
        return conditions, values


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is where to go on, None at the list's end; `searched_until`: looked so far back, without filling it."""

    rows: list[ResponseIndex]
    next: Cursor | None
    searched_until: datetime | None = None


def read_page(filters: Filters, before: Cursor | None = None, size: int = PAGE_SIZE) -> Page:
    conditions, values = filters.conditions("recent")
    candidates = filters.candidates(before)
    if not conditions:
        found = list(candidates[: size + 1])
        return Page(found[:size], _place(found[size - 1]) if len(found) > size else None)
    window = candidates[:MAX_SCANNED]
    inner, parameters = window.query.sql_with_params()
    # A subquery with a limit keeps its order, in SQLite and PostgreSQL alike, and ends when the page is full.
    columns = ", ".join(f"recent.{field.column}" for field in ResponseIndex._meta.concrete_fields)
    sql = f"SELECT {columns} FROM ({inner}) recent WHERE {' AND '.join(conditions)} LIMIT {size + 1}"  # noqa: S608
    found = list(ResponseIndex.objects.raw(sql, [*parameters, *values]))
    if len(found) > size:
        return Page(found[:size], _place(found[size - 1]))
    last = candidates.values_list("created_at", "id")[MAX_SCANNED - 1 : MAX_SCANNED]
    end = next((Cursor(*each) for each in last), None)
    return replace(Page(found, end), searched_until=end.created_at if end else None)


def having(field: str, value: str) -> Q:
    """Rows with this value, in the words by which SQLite finds an index that leaves the empty ones out."""
    return Q(**{field: value}) & ~Q(**{field: ""})


def with_prefix(field: str, prefix: str) -> Q:
    """Rows whose `field` begins so, found by its index."""
    if connection.vendor == "sqlite":
        # LIKE ignores case there, and so the index.
        return Q(**{f"{field}__gte": prefix, f"{field}__lt": prefix + "\U0010ffff"})
    return Q(**{f"{field}__startswith": prefix})


def _place(row: ResponseIndex) -> Cursor:
    return Cursor(row.created_at, row.id)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadFilter(f"'{name}' takes a number, not {text[:40]!r}.") from None


def _time(name: str, text: str) -> datetime:
    try:
        found = parse_datetime(text if "T" in text or " " in text else f"{text}T00:00")
    except ValueError:
        found = None
    if found is None:
        raise BadFilter(f"'{name}' takes a time like 2026-01-31T14:00, not {text[:40]!r}.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
