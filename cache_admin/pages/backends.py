"""Backends: how each is doing, and draining, activating and probing one."""

from __future__ import annotations

import time

import httpx
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from cache_admin import audit, charts, fleet, sources
from cache_admin.charts import RANGES, latency
from cache_admin.page import page, render
from responses_api import pulse
from responses_api.backends.registry import Endpoint
from responses_api.models import BackendEndpoint

_STATES = {"drain": BackendEndpoint.State.DRAINED, "activate": BackendEndpoint.State.ACTIVE}
PROBE_SECONDS = 5


@page("backends/", "backends")
def backends(request: HttpRequest) -> HttpResponseBase:
    reports = pulse.read_all(sources.redis(), sources.prefix()) if sources.has_redis() else []
    found = fleet.backends(reports)
    context = {
        "title": "Backends",
        "backends": found,
        "webs": sum(report.kind == "web" for report in reports),
        "may_add": request.user.has_perm("responses_api.add_backendendpoint"),
        "may_change": request.user.has_perm("responses_api.change_backendendpoint"),
        "config": sources.config().routing,
    }
    return render(request, "backends", context)


@page("backends/<str:name>/", "backend")
def backend(request: HttpRequest, name: str) -> HttpResponseBase:
    chosen = RANGES.get(request.GET.get("range", ""), RANGES["1h"])
    reports = pulse.read_all(sources.redis(), sources.prefix()) if sources.has_redis() else []
    found = next((each for each in fleet.backends(reports) if each.name == name), None)
    if found is None:
        raise Http404(f"There is no backend '{name}'.")
    line = charts.timeline(chosen, "backend", name)
    requests = [
        ("answered", "good", line.values(lambda each: (each.requests - each.failed) * 60 / line.step)),
        ("failed", "bad", line.values(lambda each: each.failed * 60 / line.step)),
    ]
    shares = ((50, "first"), (95, "second"), (99, "third"))
    latencies = [(f"p{share}", kind, line.values(latency("duration", share / 100))) for share, kind in shares]
    context = {
        "title": f"Backend {name}",
        "backend": found,
        "ranges": RANGES,
        "chosen": chosen,
        "charts": [
            ("Requests a minute", charts.chart(line, "", requests)),
            ("Duration", charts.chart(line, "ms", latencies)),
        ],
        "standings": [(report, report.endpoints[name]) for report in reports if name in report.endpoints],
    }
    return render(request, "backend", context)


@page("backends/<str:name>/<str:action>/", "backend_act")
def act(request: HttpRequest, name: str, action: str) -> HttpResponseBase:
    endpoint = next((each for each in fleet.registry().endpoints if each.name == name), None)
    if endpoint is None or action not in (*_STATES, "probe"):
        raise Http404("There is no such backend, or nothing of this kind to do with it.")
    if request.method == "POST" and action == "probe":
        well, words = probe(endpoint)
        (messages.success if well else messages.error)(request, f"{name} {words}")
        audit.record(request, "probe", name, words)
    elif request.method == "POST":
        BackendEndpoint.objects.update_or_create(name=name, defaults={"state": _STATES[action]})
        audit.record(request, action, name)
        done = "finishes what runs, and starts nothing" if action == "drain" else "is asked again"
        messages.success(request, f"{name} {done}; every process notices within two seconds.")
    return redirect("admin:backends")


def probe(endpoint: Endpoint) -> tuple[bool, str]:
    """Is it there, and what it said, in words."""
    headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    began = time.perf_counter()
    try:
        with httpx.Client(timeout=PROBE_SECONDS, trust_env=False) as client:
            answer = client.get(f"{endpoint.base_url}/models", headers={**headers, **endpoint.headers})
    except httpx.HTTPError as error:
        return False, f"does not answer ({type(error).__name__})."
    milliseconds = (time.perf_counter() - began) * 1000
    words = f"answered with HTTP {answer.status_code} in {milliseconds:.0f} ms"
    if answer.status_code >= 400:
        return False, f"{words}."
    try:
        names = [str(each["id"]) for each in answer.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return True, f"{words}; its list of models cannot be read."
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return True, f"{words}; it serves {', '.join(names[:5]) or 'nothing'}{more}."
