"""Purging a part of a project's cache: first what would go, then the deed."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from cache_admin import access, audit, sources
from cache_admin.page import page, render
from responses_api.cache.invalidation import Purged, Target
from responses_api.models import DEFAULT_PROJECT
from responses_api.runtime import Runtime

_TARGETS: dict[str, Callable[[str], Target]] = {
    "namespace": Target.namespace,
    "tag": lambda name: Target.tags((name,)),
    "model": Target.model,
    "everything": lambda _: Target.everything(),
}


@page("cache/purge/", "purge", sees=access.OPERATE, needs_redis=True)
def purge(request: HttpRequest) -> HttpResponseBase:
    names = sources.project_names()
    given = request.POST if request.method == "POST" else request.GET
    project, by, value = given.get("project", DEFAULT_PROJECT), given.get("by", "tag"), given.get("value", "").strip()
    context = {
        "title": "Purge the cache",
        "projects": names,
        "project": project,
        "by": by,
        "value": value,
        "targets": list(_TARGETS),
    }
    if request.method != "POST":
        return render(request, "purge", context)
    if by not in _TARGETS or project not in names:
        return render(request, "purge", {**context, "problem": "Choose a project and what to purge."}, 400)
    if by != "everything" and not value:
        return render(request, "purge", {**context, "problem": f"Say which {by}."}, 400)
    is_sure = given.get("sure") == "1"
    purged = _purge(project, _TARGETS[by](value), dry_run=not is_sure)
    if not is_sure:
        return render(request, "purge", {**context, "would_go": purged})
    what = "everything" if by == "everything" else f"{by} {value}"
    audit.record(request, "purge", f"{names[project]}: {what}", f"{purged.entries} entries, {purged.bytes} bytes")
    messages.success(request, f"Purged {purged.entries:,} entries, {purged.bytes:,} bytes, in every process.")
    return redirect("admin:cache")


def _purge(project: str, target: Target, *, dry_run: bool) -> Purged:
    async def run(runtime: Runtime) -> Purged:
        if runtime.cache is None:
            return Purged(0, 0)
        return await runtime.cache.invalidation.purge(project, target, dry_run=dry_run)

    return sources.ask(run)
