"""Why a request is a hit or a miss: the cache asked about a request that nobody sends."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from cache_admin import access, sources
from cache_admin.page import page, render
from responses_api.cache.controls import read_controls
from responses_api.errors import ApiError
from responses_api.models import DEFAULT_PROJECT
from responses_api.run import RequestContext
from responses_api.shapes.ids import new_id
from responses_api.shapes.request import parse_create_request

_EXAMPLE = '{\n  "model": "demo",\n  "input": "Say hello."\n}'
_HEADERS = "x-cache-key: session-1"


@page("cache/explain/", "explain", acts=access.SEE, needs_redis=True)
def explain(request: HttpRequest) -> HttpResponseBase:
    names = sources.project_names()
    project = request.POST.get("project", DEFAULT_PROJECT)
    body, headers = request.POST.get("body", _EXAMPLE), request.POST.get("headers", _HEADERS)
    context: dict[str, Any] = {
        "title": "Explain a request",
        "projects": names,
        "project": project,
        "body": body,
        "headers": headers,
    }
    if request.method == "POST":
        try:
            context["told"] = _explain(project, body, headers)
        except ApiError as error:
            context["problem"] = error.message
    return render(request, "explain", context)


def _explain(project: str, body: str, headers: str) -> dict[str, Any]:
    create = parse_create_request(body.encode())
    controls = read_controls(dict(_header(line) for line in headers.splitlines() if ":" in line))
    context = RequestContext(project, new_id("req"))
    told = sources.ask(lambda runtime: runtime.cache_control.explain(create, context, controls))
    return {**told, "whole": json.dumps(told, indent=2)}


def _header(line: str) -> tuple[bytes, bytes]:
    name, _, value = line.partition(":")
    return name.strip().lower().encode(), value.strip().encode()
