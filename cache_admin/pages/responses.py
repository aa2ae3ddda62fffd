"""Responses: the list with its filters, one response, and what was said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from cache_admin import access, audit, charts, records, rows, sources, thread
from cache_admin.page import fragment, page, render
from cache_admin.rows import BadFilter, Cursor, Filters
from responses_api import traffic
from responses_api.cache.entry import entry_id
from responses_api.cache.policy import Verdict
from responses_api.errors import ResponseNotFound
from responses_api.models import ResponseIndex, TrafficBucket

DAYS = 14
MAX_JSON_CHARS = 20_000
MAX_PIECES = 200
"""That are loaded at once."""
_STATUSES = ("completed", "incomplete", "failed", "cancelled", "queued", "in_progress")
_APIS = ("responses", "chat", "completions", "embeddings")


@page("responses/", "responses")
def responses(request: HttpRequest) -> HttpResponseBase:
    problem, found, filters = "", rows.Page([], None), Filters({})
    try:
        filters = Filters.read(request.GET.dict())
        before = Cursor.parse(request.GET["before"]) if request.GET.get("before") else None
        found = rows.read_page(filters, before)
    except BadFilter as error:
        problem = str(error)
    context = {
        "title": "Responses",
        "page": found,
        "problem": problem,
        "given": filters.given,
        "is_first": not request.GET.get("before"),
        "older": _link(filters, before=str(found.next)) if found.next else None,
        "newest": _link(filters),
        "query": urlencode(filters.given),
        "choices": {
            "status": _STATUSES,
            "verdict": [each.value for each in Verdict],
            "model": charts.known_names("model"),
            "backend": charts.known_names("backend"),
            "api": _APIS,
        },
        "days": _days(filters),
    }
    return render(request, "responses", context)


@page("responses/<str:response_id>/", "response")
def response(request: HttpRequest, response_id: str) -> HttpResponseBase:
    known = records.find(response_id)
    row = known.row
    project = row.project if row else known.record.project if known.record else ""
    context = {
        "title": "Response",
        "known": known,
        "row": row,
        "project": sources.project_names().get(project, project),
        "seconds_left": records.seconds_left(response_id) if known.record else None,
        "timeline": _timeline(row) if row else None,
        "entry": entry_id(row.cache_entry) if row and row.cache_entry else "",
        "metadata": known.response.get("metadata") or {} if access.reveals(request) else {},
        "error": known.response.get("error"),
        "follows": _followers(response_id).order_by("created_at")[:20],
    }
    return render(request, "response", context)


@page("responses/<str:response_id>/exchange/", "exchange")
def exchange(request: HttpRequest, response_id: str) -> HttpResponseBase:
    """What was said, as a reader wants it."""
    known, reveals = records.find(response_id), access.reveals(request)
    if known.record is not None and reveals:
        audit.record_reveal(request, response_id)
    pieces = _thread(known, is_masked=not reveals).pieces
    start = request.GET.get("from", "0")
    end = (int(start) if start.isdigit() else 0) + MAX_PIECES
    here = reverse("admin:exchange", args=[response_id])
    context = {
        "pieces": pieces[end - MAX_PIECES : end],
        "later": f"{here}?from={end}" if len(pieces) > end else None,
        "left": len(pieces) - end,
        "texts": reverse("admin:exchange_text", args=[response_id, 0]).removesuffix("0/"),
    }
    return fragment(request, "thread", context)


@page("responses/<str:response_id>/text/<int:number>/", "exchange_text", sees=access.REVEAL)
def exchange_text(request: HttpRequest, response_id: str, number: int) -> HttpResponseBase:
    """One text of an exchange, uncut."""
    known = records.find(response_id)
    text = _thread(known, is_masked=False).whole(number)
    if text is None:
        raise Http404("There is no such text.")
    audit.record_reveal(request, response_id)
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@page("responses/<str:response_id>/json/", "response_json", sees=access.REVEAL)
def response_json(request: HttpRequest, response_id: str) -> HttpResponseBase:
    """The record as it is stored: its beginning, or with `whole` all of it, as a file."""
    known = records.find(response_id)
    if known.record is None:
        raise Http404(known.why_empty)
    audit.record_reveal(request, response_id)
    record = known.record
    told = {
        "id": record.id,
        "project": record.project,
        "previous_response_id": record.previous_response_id,
        "ancestors": record.ancestors,
        "depth": record.depth,
        "input": known.input,
        "response": known.response,
    }
    text = json.dumps(told, indent=2, ensure_ascii=False)
    if "whole" in request.GET:
        disposition = {"content-disposition": f'attachment; filename="{response_id}.json"'}
        return HttpResponse(text, content_type="application/json", headers=disposition)
    return fragment(request, "json", {"text": text[:MAX_JSON_CHARS], "length": len(text), "known": known})


@page("responses/<str:response_id>/delete/", "response_delete", sees=access.OPERATE)
def delete(request: HttpRequest, response_id: str) -> HttpResponseBase:
    known = records.find(response_id)
    here = reverse("admin:response", args=[response_id])
    if known.record is None:
        messages.warning(request, f"There is nothing to delete. {known.why_empty}")
        return redirect(here)
    if request.method == "POST":
        project = known.record.project
        try:
            sources.ask(lambda runtime: runtime.stored.delete(project, response_id))
        except ResponseNotFound:
            messages.warning(request, "It was gone already.")
        else:
            audit.record(request, "delete", response_id)
            messages.success(request, f"{response_id} is deleted.")
        return redirect(here)
    later = _followers(response_id).count()
    goes = [f"the stored response, {known.bytes:,} bytes, with its input"]
    stays = ["its row in the index, marked as deleted, until it would have expired"]
    if later:
        stays.append(f"{later} response{'s' * (later > 1)} that continued it, without what this one said")
    context = {"title": f"Delete {response_id}?", "goes": goes, "stays": stays, "back": here, "verb": "Delete"}
    return render(request, "confirm", context)


def _followers(response_id: str) -> QuerySet[ResponseIndex]:
    return ResponseIndex.objects.filter(rows.having("previous_response_id", response_id))


def _thread(known: records.Known, *, is_masked: bool) -> thread.Thread:
    told = known.response
    return thread.of_exchange(told.get("instructions"), known.input, told.get("output") or [], is_masked=is_masked)


def _timeline(row: ResponseIndex) -> dict[str, Any]:
    """Shares of the whole duration, in per cent: the gateway's own time, then until the first token, then the rest."""
    whole = max(row.duration_ms, 0.001)
    gateway = min(row.gateway_ms, whole)
    first = min(max((row.first_token_ms or 0) - gateway, 0), whole - gateway) if row.first_token_ms else 0
    parts = [
        ("queue and gateway" if row.background else "gateway", gateway),
        ("first token", first),
        ("answer", max(whole - gateway - first, 0)),
    ]
    edges, at = list[dict[str, Any]](), 0.0
    for name, length in parts:
        edges.append(
            {"name": name, "ms": length, "x": round(at / whole * 100, 2), "width": round(length / whole * 100, 2)}
        )
        at += length
    return {"parts": [each for each in edges if each["ms"] > 0], "whole": whole}


def _link(filters: Filters, **more: str) -> str:
    return f"?{urlencode({**filters.given, **more})}"


def _days(filters: Filters) -> list[dict[str, Any]]:
    """The last days with their requests, each a link."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=DAYS - 1)
    counted: dict[str, int] = {}
    buckets = TrafficBucket.objects.filter(seconds=3600, dimension=traffic.ALL, start__gte=int(first.timestamp()))
    for start, text in buckets.values_list("start", "traffic"):
        date = datetime.fromtimestamp(start, UTC).date().isoformat()
        counted[date] = counted.get(date, 0) + traffic.decode(text).requests
    others = {name: value for name, value in filters.given.items() if name not in rows.BETWEEN}
    found = []
    for back in range(DAYS):
        day = first + timedelta(days=back)
        name, after = day.date().isoformat(), (day + timedelta(days=1)).date().isoformat()
        found.append(
            {
                "name": day.strftime("%b %-d"),
                "requests": counted.get(name, 0),
                "link": f"?{urlencode({**others, 'since': name, 'until': after})}",
                "is_chosen": filters.given.get("since") == name and filters.given.get("until") == after,
            }
        )
    return found
