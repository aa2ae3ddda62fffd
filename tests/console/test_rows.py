"""The list of responses: every filter finds what it says, and pages hold each row once, whatever is filtered."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from cache_admin import rows
from cache_admin.rows import BadFilter, Cursor, Filters, read_page
from responses_api.index_drain import write
from responses_api.index_entry import IndexEntry
from responses_api.models import ResponseIndex

pytestmark = pytest.mark.django_db
AT = 1_700_000_000


@pytest.fixture
def some_rows() -> list[IndexEntry]:
    """Many of them within the same second, as at any speed worth the name."""
    dice = random.Random(3)
    entries = [
        IndexEntry(
            id=f"resp_{dice.randrange(16**8):08x}{number}",
            project=dice.choice(["p", "q"]),
            # As close together as clocks can tell, and some at the very same time.
            created_at=AT + number // 40 + (number % 4) * 1e-6 + 0.123457,
            request_id=f"req_{number}",
            model=dice.choice(["m", "n"]),
            status=dice.choice(["completed"] * 9 + ["failed"]),
            verdict=dice.choice(["hit", "miss", "bypass"]),
            backend=dice.choice(["a", "b", ""]),
            api=dice.choice(["responses", "chat"]),
            conversation=dice.choice(["", "", "conv_1"]),
            cache_entry=dice.choice(["", "ab12"]),
            stored=dice.random() < 0.5,
            stream=dice.random() < 0.5,
            background=dice.random() < 0.1,
            duration_ms=dice.uniform(0, 1000),
            output_tokens=dice.randrange(1000),
            response_bytes=dice.randrange(10_000),
        )
        for number in range(300)
    ]
    write(entries)
    return entries


def all_pages(filters: Filters, size: int) -> list[ResponseIndex]:
    found: list[ResponseIndex] = []
    before: Cursor | None = None
    for _ in range(500):
        page = read_page(filters, before, size)
        found += page.rows
        if page.next is None:
            return found
        before = Cursor.parse(str(page.next))
    raise AssertionError("it goes round in circles")


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({}, lambda e: True),
        ({"status": "failed"}, lambda e: e.status == "failed"),
        ({"verdict": "hit", "model": "m"}, lambda e: (e.verdict, e.model) == ("hit", "m")),
        ({"backend": "a", "min_ms": "500"}, lambda e: e.backend == "a" and e.duration_ms >= 500),
        ({"min_tokens": "900"}, lambda e: e.output_tokens >= 900),
        ({"min_bytes": "9000", "project": "q"}, lambda e: e.response_bytes >= 9000 and e.project == "q"),
        ({"conversation": "conv_1", "api": "chat"}, lambda e: (e.conversation, e.api) == ("conv_1", "chat")),
        ({"cache_entry": "ab12"}, lambda e: e.cache_entry == "ab12"),
        ({"stored": "1", "stream": "0"}, lambda e: e.stored and not e.stream),
        ({"background": "true"}, lambda e: e.background),
        ({"model": "none such"}, lambda e: False),
        ({"since": "2023-11-14T22:13:22", "until": "2023-11-14T22:13:25"}, lambda e: AT + 2 <= e.created_at < AT + 5),
        ({"status": "  ", "unknown": "x"}, lambda e: True),
    ],
)
@pytest.mark.parametrize(("size", "scanned"), [(7, 25_000), (50, 25_000), (7, 20), (50, 45)])
def test_each_row_that_matches_is_there_once_newest_first(
    some_rows: list[IndexEntry], query: dict[str, str], matches: Any, size: int, scanned: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(rows, "MAX_SCANNED", scanned)
    found = all_pages(Filters.read(query), size)
    assert [row.id for row in found] == [
        entry.id for entry in sorted(some_rows, key=lambda e: (e.created_at, e.id), reverse=True) if matches(entry)
    ]


def test_a_page_that_gave_up_says_how_far_it_looked(some_rows: list[IndexEntry], monkeypatch: Any) -> None:
    monkeypatch.setattr(rows, "MAX_SCANNED", 100)
    page = read_page(Filters.read({"min_tokens": "100000"}))
    assert (page.rows, page.searched_until) == ([], datetime.fromtimestamp(AT + 5.123457, UTC))
    assert page.next is not None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"min_ms": "fast"}, "'min_ms' takes a number, not 'fast'"),
        ({"since": "yesterday"}, "'since' takes a time like"),
        ({"until": "2026-13-45"}, "'until' takes a time like"),
    ],
)
def test_a_filter_that_is_none_says_what_it_takes(query: dict[str, str], words: str) -> None:
    with pytest.raises(BadFilter, match=words):
        Filters.read(query)


@pytest.mark.parametrize("text", ["", "x", "12", "99999999999999999999-resp", "-", "nan-x", "1e5-x"])
def test_a_cursor_that_is_none_is_refused_or_harmless(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except BadFilter:
        return
    assert read_page(Filters({}), cursor).rows == []


def test_every_filter_by_one_value_has_an_index() -> None:
    first_columns = {index.fields[0].lstrip("-") for index in ResponseIndex._meta.indexes if index.fields}
    assert set(rows.EQUAL) <= first_columns


def test_prefixes_use_the_case(some_rows: list[IndexEntry]) -> None:
    entry = some_rows[0]
    found = ResponseIndex.objects.filter(rows.with_prefix("id", entry.id[:9]))
    assert entry.id in {row.id for row in found}
    assert not ResponseIndex.objects.filter(rows.with_prefix("id", entry.id.upper())).exists()
