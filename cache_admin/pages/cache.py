"""What the cache does: hit ratio, verdicts over time, savings, what each project holds, and what is banned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from cache_admin import charts, entries, sources
from cache_admin.charts import RANGES
from cache_admin.page import page, render
from responses_api import traffic
from responses_api.cache.counts import Day
from responses_api.cache.entry import entry_id
from responses_api.cache.policy import Verdict
from responses_api.cache_control import saved_money
from responses_api.runtime import Runtime

DAYS = {"1": "today", "7": "7 days", "30": "30 days"}
_KINDS = {"hit": "good", "stale": "third", "collapsed": "second", "miss": "first", "bypass": "quiet"}


@dataclass(slots=True)
class Savings:
    """Of one project, or of one model; `money` None where no price is known."""

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    money: float | None = None

    def add(self, day: Day) -> None:
        for name, value in day.counts.items():
            self.counts[name] = self.counts.get(name, 0) + value
        config = sources.config().model_config.get(day.model)
        money = saved_money(day.counts, config.price if config else None)
        if money is not None:
            self.money = (self.money or 0) + money

    @property
    def given(self) -> int:
        return sum(self.counts.get(each, 0) for each in traffic.GIVEN)

    @property
    def hit_ratio(self) -> float | None:
        asked = self.given + self.counts.get(Verdict.MISS, 0)
        return self.given / asked if asked else None

    @property
    def tokens(self) -> int:
        return self.counts.get("saved_input_tokens", 0) + self.counts.get("saved_output_tokens", 0)

    @property
    def seconds(self) -> float:
        return self.counts.get("saved_milliseconds", 0) / 1000


@dataclass(slots=True)
class Held:
    """What a project's entries are: how many, and their bytes in Redis."""

    project: str
    entries: int
    bytes: int


@page("cache/", "cache", needs_redis=True)
def cache(request: HttpRequest) -> HttpResponseBase:
    chosen = RANGES.get(request.GET.get("range", ""), RANGES["24h"])
    days = request.GET.get("days", "7") if request.GET.get("days") in DAYS else "7"
    line = charts.timeline(chosen)
    names = sources.project_names()
    everyone = sorted({*names, *entries.projects()})
    counted, held = _read(everyone, int(days))
    per_minute = 60 / line.step
    verdicts = [
        (name, _KINDS[name], line.values(lambda each, name=name: each.verdicts.get(name, 0) * per_minute))  # type: ignore[misc]
        for name in _KINDS
    ]
    context = {
        "title": "Cache",
        "ranges": RANGES,
        "chosen": chosen,
        "days": DAYS,
        "chosen_days": days,
        "total": line.total,
        "charts": [
            ("Verdicts a minute", charts.chart(line, "", verdicts)),
            ("Hit ratio", charts.chart(line, "%", [("hit ratio", "good", line.values(_percent))])),
        ],
        "savings": [
            ("model", _sums(counted, lambda _, day: day.model)),
            ("project", _sums(counted, lambda project, _: project)),
        ],
        "held": [each for each in held if each.entries],
        "bound": sources.config().response_cache.max_bytes_per_project,
        "bans": [
            (project, entry_id(digest), ban)
            for project in everyone
            for digest, ban in sorted(entries.banned(project).items(), key=lambda each: -each[1].at)
        ],
        "config": sources.config().response_cache,
    }
    return render(request, "cache", context)


def _percent(bucket: traffic.Traffic) -> float | None:
    ratio = bucket.hit_ratio
    return None if ratio is None else round(ratio * 100, 1)


def _read(projects: list[str], days: int) -> tuple[list[tuple[str, Day]], list[Held]]:
    async def read(runtime: Runtime) -> tuple[list[tuple[str, Day]], list[Held]]:
        counted: list[tuple[str, Day]] = []
        held: list[Held] = []
        if runtime.cache is None:
            return counted, held
        for project in projects:
            counted += [(project, day) for day in await runtime.cache.counts.read(project, days)]
            held.append(Held(project, *await runtime.cache.counts.sizes(project)))
        return counted, held

    return sources.ask(read)


def _sums(counted: list[tuple[str, Day]], name_of: Any) -> list[Savings]:
    """By tokens saved, the most first."""
    found: dict[str, Savings] = {}
    for project, day in counted:
        name = name_of(project, day)
        found.setdefault(name, Savings(name)).add(day)
    return sorted(found.values(), key=lambda each: (-each.tokens, -each.given, each.name))
