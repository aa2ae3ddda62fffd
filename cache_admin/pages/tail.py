"""Requests as they end, the newest on top; the browser asks every second for what has come since."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from redis.exceptions import ResponseError

from cache_admin import rows, sources
from cache_admin.page import page, render
from cache_admin.templatetags.console import response_rows
from responses_api import index_drain, tail

SHOWN = 40
AT_ONCE = 200


@page("tail/", "tail")
def live_tail(request: HttpRequest) -> HttpResponseBase:
    context = {
        "title": "Live tail",
        "after": tail.newest_id(sources.redis(), sources.prefix()) if sources.has_redis() else "",
        "rows": rows.read_page(rows.Filters({}), None, SHOWN).rows,
    }
    return render(request, "tail", context)


@page("tail/since/<str:after>/", "tail_since")
def since(request: HttpRequest, after: str) -> HttpResponseBase:
    """`rows` as HTML, the newest first, and where to go on."""
    try:
        found = tail.read(sources.redis(), sources.prefix(), after, AT_ONCE)
    except ResponseError:
        return JsonResponse({"error": "no such place in the tail"}, status=400)
    newest_first = [index_drain.row_of(entry) for _, entry in reversed(found) if entry.op == "put"]
    html = response_rows(newest_first, sources.project_names() if newest_first else {})
    return JsonResponse({"rows": html, "count": len(newest_first), "after": found[-1][0] if found else after})
