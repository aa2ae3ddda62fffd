"""Entries of the cache: a project's list, and one entry with its question, its answer and who was given it."""

from __future__ import annotations

import json
import time
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from cache_admin import access, audit, entries, rows, sources
from cache_admin.page import fragment, page, render
from responses_api.cache.entry import Entry, digest_of
from responses_api.models import DEFAULT_PROJECT, ResponseIndex
from responses_api.runtime import Runtime

PAGE_SIZE = 50


@page("cache/entries/", "entries", needs_redis=True)
def listing(request: HttpRequest) -> HttpResponseBase:
    names = sources.project_names()
    everyone = sorted({*names, *entries.projects()})
    project = request.GET.get("project", "")
    project = project if project in everyone else DEFAULT_PROJECT
    sort = request.GET.get("sort", "")
    sort = sort if sort in entries.BOOKS else "used"
    start = request.GET.get("start", "0")
    place = int(start) if start.isdigit() else 0
    found = entries.listed(project, sort, place, PAGE_SIZE + 1)
    context = {
        "title": "Cache entries",
        "entries": found[:PAGE_SIZE],
        "everyone": [(each, names.get(each, each)) for each in everyone],
        "project": project,
        "sort": sort,
        "sorts": list(entries.BOOKS),
        "older": place + PAGE_SIZE if len(found) > PAGE_SIZE else None,
        "newer": max(0, place - PAGE_SIZE) if place else None,
    }
    return render(request, "entries", context)


@page("cache/entries/<str:entry_id>/", "entry", needs_redis=True)
def entry(request: HttpRequest, entry_id: str) -> HttpResponseBase:
    digest = _digest(entry_id)
    found = entries.read(digest)
    given = ResponseIndex.objects.filter(rows.having("cache_entry", digest)).order_by("-created_at", "-id")
    used_by = list(given[:PAGE_SIZE])
    project = found.project if found else used_by[0].project if used_by else None
    if project is None:
        raise Http404(f"There is no entry '{entry_id}', and no request that asked for it.")
    context = {
        "title": "Cache entry",
        "id": entry_id,
        "digest": digest,
        "entry": found,
        "details": entries.details(project, digest),
        "expires_at": found.created_at + found.ttl if found else None,
        "is_stale": found is not None and found.created_at + found.ttl < time.time(),
        "ban": entries.banned(project).get(digest),
        "project": project,
        "project_name": sources.project_names().get(project, project),
        "used_by": used_by,
        "asked": _settings_of(found, shown=access.reveals(request)) if found else {},
    }
    return render(request, "entry", context)


@page("cache/entries/<str:entry_id>/exchange/", "entry_exchange", needs_redis=True)
def exchange(request: HttpRequest, entry_id: str) -> HttpResponseBase:
    found, reveals = entries.read(_digest(entry_id)), access.reveals(request)
    if found is None:
        raise Http404("It has expired or was purged.")
    if reveals:
        audit.record_reveal(request, entry_id)
    pieces = entries.as_thread(found, is_masked=not reveals).pieces
    return fragment(request, "thread", {"pieces": pieces})


@page("cache/entries/<str:entry_id>/evict/", "entry_evict", sees=access.OPERATE, needs_redis=True)
def evict(request: HttpRequest, entry_id: str) -> HttpResponseBase:
    """Once, so that the next request asks the backend; or for ever, as a wrong answer."""
    digest, here = _digest(entry_id), reverse("admin:entry", args=[entry_id])
    found = entries.read(digest)
    project = found.project if found else request.POST.get("project", request.GET.get("project", ""))
    if not project:
        raise Http404("It has expired or was purged.")
    is_ban = "ban" in request.GET or "ban" in request.POST
    if request.method != "POST":
        goes = ["this answer, in every process, at once"]
        if is_ban:
            goes.append("every later answer to the same question: the backend is asked each time, until unbanned")
        title = "Never cache this again?" if is_ban else "Evict this entry?"
        context = {"title": title, "goes": goes, "stays": ["responses already given"], "back": here}
        return render(request, "confirm", {**context, "verb": "Evict", "ban": is_ban, "project": project})
    reason = request.POST.get("reason", "").strip()[:500]
    if is_ban:
        ban = entries.Ban(request.user.get_username(), time.time(), reason)
        _with_cache(lambda cache: cache.invalidation.ban(project, digest, entries.encode_ban(ban)))
        audit.record(request, "ban", entry_id, reason)
        messages.success(request, "Evicted, and never cached again.")
    else:
        _with_cache(lambda cache: cache.invalidation.remove(project, digest))
        audit.record(request, "evict", entry_id)
        messages.success(request, "Evicted: the next request asks the backend.")
    return redirect(here if is_ban else "admin:entries")


@page("cache/entries/<str:entry_id>/unban/", "entry_unban", sees=access.OPERATE, needs_redis=True)
def unban(request: HttpRequest, entry_id: str) -> HttpResponseBase:
    digest, project = _digest(entry_id), request.POST.get("project", "")
    if request.method == "POST":
        if _with_cache(lambda cache: cache.invalidation.unban(project, digest)):
            audit.record(request, "unban", entry_id)
            messages.success(request, "Its answers may be cached again.")
        else:
            messages.warning(request, "It was not banned.")
    return redirect("admin:cache")


def _with_cache(operation: Any) -> Any:
    async def run(runtime: Runtime) -> Any:
        return await operation(runtime.cache) if runtime.cache is not None else None

    return sources.ask(run)


def _digest(entry_id: str) -> str:
    digest = digest_of(entry_id)
    if digest is None:
        raise Http404(f"'{entry_id}' is no entry's id.")
    return digest


def _settings_of(entry: Entry, *, shown: bool) -> dict[str, str]:
    """What was asked beside the words: the fields of the request that are part of the key."""
    asked = entries.question(entry)
    words = ("input", "messages", "instructions", "prompt")
    fields = {name: value for name, value in asked["fields"].items() if name not in words}
    if not shown:
        return dict.fromkeys(fields, "masked")
    return {name: json.dumps(value, ensure_ascii=False)[:500] for name, value in fields.items()}
