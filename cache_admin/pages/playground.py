"""One request through a chosen backend, with what the gateway made of it on the way there and back."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from cache_admin import access, audit, fleet, sources
from cache_admin.page import page, render
from responses_api import trial
from responses_api.errors import ApiError
from responses_api.models import DEFAULT_PROJECT

_EXAMPLE = '{\n  "model": "demo",\n  "instructions": "Answer in one sentence.",\n  "input": "Say hello."\n}'


@page("playground/", "playground", sees=access.OPERATE)
def playground(request: HttpRequest) -> HttpResponseBase:
    names = [each.name for each in fleet.registry().endpoints]
    chosen = request.POST.get("backend", request.GET.get("backend", names[0] if names else ""))
    body = request.POST.get("body", _EXAMPLE)
    context: dict[str, Any] = {"title": "Playground", "names": names, "chosen": chosen, "body": body}
    if request.method == "POST":
        audit.record(request, "try", chosen)
        try:
            tried = sources.ask(lambda runtime: trial.try_backend(runtime, chosen, DEFAULT_PROJECT, body.encode()))
        except ApiError as error:
            context["problem"] = error.message
        else:
            parts = (
                ("sent", tried.sent),
                ("received", tried.received),
                ("the response", tried.response),
            )
            context |= {"trial": tried, "parts": [(label, _pretty(data)) for label, data in parts]}
    return render(request, "playground", context)


def _pretty(data: bytes) -> str:
    return json.dumps(json.loads(data), indent=2, ensure_ascii=False)
