"""The rows of a list as a file, however many: CSV or JSON lines, sent as they are read."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Iterable
from io import StringIO
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase, StreamingHttpResponse

from cache_admin import rows
from cache_admin.page import page
from cache_admin.rows import BadFilter, Cursor, Filters
from responses_api.models import ResponseIndex

BATCH = 2000
FIELDS = [field.name for field in ResponseIndex._meta.concrete_fields]
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


@page("responses/export.<str:kind>", "export")
def export(request: HttpRequest, kind: str) -> HttpResponseBase:
    """The filters are those of the list."""
    if kind not in _TYPES:
        return HttpResponseBadRequest("Exports are 'csv' or 'jsonl'.")
    try:
        filters = Filters.read(request.GET.dict())
    except BadFilter as error:
        return HttpResponseBadRequest(str(error))
    headers = {"content-disposition": f'attachment; filename="responses.{kind}"'}
    return StreamingHttpResponse(_lines(filters, kind), content_type=_TYPES[kind], headers=headers)


async def _lines(filters: Filters, kind: str) -> AsyncIterator[str]:
    before: Cursor | None = None
    if kind == "csv":
        yield _csv([FIELDS])
    while True:
        found = await sync_to_async(rows.read_page)(filters, before, BATCH)
        values = [[_plain(getattr(row, name)) for name in FIELDS] for row in found.rows]
        if kind == "csv":
            yield _csv(values)
        else:
            yield "".join(json.dumps(dict(zip(FIELDS, each, strict=True))) + "\n" for each in values)
        before = found.next
        if before is None:
            return


def _csv(lines: Iterable[Iterable[Any]]) -> str:
    out = StringIO()
    csv.writer(out).writerows([_harmless(each) for each in line] for line in lines)
    return out.getvalue()


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _harmless(value: Any) -> Any:
    """A spreadsheet would take a model named `=cmd()` for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value
