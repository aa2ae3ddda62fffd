"""What is happening: problems first, then figures, charts, backends and queues."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from redis.exceptions import RedisError

from cache_admin import charts, fleet, problems, queues, sources
from cache_admin.charts import RANGES, Range, Timeline, latency
from cache_admin.fleet import Backend
from cache_admin.page import page, reason_of, render
from cache_admin.problems import Problem
from cache_admin.queues import Backlog, BrokerAway, Queue
from responses_api import pulse, task_notes
from responses_api.pulse import Report
from responses_api.traffic import Traffic, quantile


@dataclass(slots=True)
class Machinery:
    """What runs, as far as it can be seen."""

    reports: list[Report] = field(default_factory=list)
    backends: list[Backend] = field(default_factory=list)
    queues: list[Queue] = field(default_factory=list)
    backlog: Backlog = field(default_factory=lambda: Backlog(0, None, 0))
    problems: list[Problem] = field(default_factory=list)


@page("overview/", "overview")
def overview(request: HttpRequest) -> HttpResponseBase:
    chosen = RANGES.get(request.GET.get("range", ""), RANGES["1h"])
    line = charts.timeline(chosen)
    machinery = _look()
    last_hour = line.total if chosen.name == "1h" else charts.timeline(RANGES["1h"]).total
    found = [
        *machinery.problems,
        *problems.of_traffic(last_hour),
        *problems.of_webhooks(),
        *problems.of_secrets(),
        *problems.of_keys(),
    ]
    context = {
        "title": "Overview",
        "ranges": RANGES,
        "chosen": chosen,
        "problems": sorted(found, key=lambda each: each.level),
        "tiles": _tiles(line.total, chosen),
        "charts": _charts(line),
        "models": list(charts.by_name(chosen, "model").items())[:8],
        "machinery": machinery,
    }
    return render(request, "overview", context)


def _look() -> Machinery:
    """Redis or the broker may be away, and that is what the page is to say then."""
    seen = Machinery()
    if not sources.has_redis():
        seen.backends = fleet.backends([])
        return seen
    client, prefix = sources.redis(), sources.prefix()
    try:
        seen.reports = pulse.read_all(client, prefix)
        seen.backends = fleet.backends(seen.reports)
        seen.problems += problems.of_backends(seen.backends)
        seen.backlog = queues.backlog()
        seen.problems += problems.of_tasks(task_notes.failures(client, prefix, task_notes.MAX_FAILURES))
        seen.queues = queues.queues()
        seen.problems += problems.of_workers(seen.reports, seen.queues, seen.backlog)
    except RedisError as error:
        seen.problems.append(Problem("error", f"Redis does not answer: {reason_of(error)}", "redis/"))
    except BrokerAway as error:
        seen.problems.append(Problem("error", f"The broker does not answer: {error}", "workers/"))
    return seen


def _tiles(total: Traffic, chosen: Range) -> list[dict[str, Any]]:
    return [
        {"label": "requests", "value": total.requests, "as": "number", "also": total.requests / chosen.seconds * 60},
        {"label": "failed", "value": total.failed, "as": "number", "share": _share(total.failed, total.requests)},
        {"label": "p50", "value": quantile(total.duration, 0.5), "as": "ms"},
        {"label": "p95", "value": quantile(total.duration, 0.95), "as": "ms"},
        {"label": "p99", "value": quantile(total.duration, 0.99), "as": "ms"},
        {"label": "first token p95", "value": quantile(total.first_token, 0.95), "as": "ms"},
        {"label": "hit ratio", "value": total.hit_ratio, "as": "percent"},
        {"label": "tokens in", "value": total.input_tokens, "as": "number"},
        {"label": "tokens out", "value": total.output_tokens, "as": "number"},
        {"label": "tokens saved", "value": total.saved_input_tokens + total.saved_output_tokens, "as": "number"},
    ]


def _charts(line: Timeline) -> list[tuple[str, dict[str, Any]]]:
    per_minute = 60 / line.step
    requests = [
        ("answered", "good", line.values(lambda each: (each.requests - each.failed) * per_minute)),
        ("failed", "bad", line.values(lambda each: each.failed * per_minute)),
    ]
    latencies = [(f"p{share}", kind, line.values(latency("duration", share / 100))) for share, kind in _SHARES]
    first = [(f"p{share}", kind, line.values(latency("first_token", share / 100))) for share, kind in _SHARES]
    tokens = [
        ("in", "first", line.values(lambda each: each.input_tokens * per_minute)),
        ("out", "second", line.values(lambda each: each.output_tokens * per_minute)),
        ("saved", "good", line.values(lambda each: (each.saved_input_tokens + each.saved_output_tokens) * per_minute)),
    ]
    verdicts = [
        (
            "from cache",
            "good",
            line.values(lambda each: each.given * per_minute),
        ),
        ("miss", "first", line.values(lambda each: each.verdicts.get("miss", 0) * per_minute)),
        ("bypass", "quiet", line.values(lambda each: each.verdicts.get("bypass", 0) * per_minute)),
    ]
    return [
        ("Requests a minute", charts.chart(line, "", requests)),
        ("Duration", charts.chart(line, "ms", latencies)),
        ("Time to first token", charts.chart(line, "ms", first)),
        ("Cache verdicts a minute", charts.chart(line, "", verdicts)),
        ("Tokens a minute", charts.chart(line, "", tokens)),
        ("Gateway's own time, on average", charts.chart(line, "ms", [("gateway", "first", line.values(_own_ms))])),
    ]


_SHARES = ((50, "first"), (95, "second"), (99, "third"))


def _own_ms(bucket: Traffic) -> float | None:
    return bucket.gateway_ms / bucket.requests if bucket.requests else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
