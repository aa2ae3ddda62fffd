"""Time buckets → what charts and tiles show."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from responses_api import traffic
from responses_api.models import TrafficBucket
from responses_api.traffic import Traffic, quantile


@dataclass(frozen=True, slots=True)
class Range:
    """`seconds` back from now, in buckets of `step` seconds; sums take those of `sum_step`, which are fewer."""

    name: str
    seconds: int
    step: int
    sum_step: int


_ALL = (Range("1h", 3600, 60, 900), Range("24h", 86_400, 900, 3600), Range("7d", 7 * 86_400, 3600, 3600))
RANGES = {each.name: each for each in _ALL}


@dataclass(slots=True)
class Timeline:
    """One dimension's buckets, none left out. `starts` in Unix seconds."""

    step: int
    starts: list[int]
    buckets: list[Traffic] = field(default_factory=list)

    @property
    def total(self) -> Traffic:
        return traffic.total(self.buckets)

    def values(self, read: Callable[[Traffic], float | None]) -> list[float | None]:
        return [read(each) for each in self.buckets]


def timeline(range_: Range, dimension: str = traffic.ALL, name: str = "", now: float | None = None) -> Timeline:
    last = int(now if now is not None else time.time())
    last -= last % range_.step
    starts = list(range(last - range_.seconds + range_.step, last + 1, range_.step))
    rows = TrafficBucket.objects.filter(seconds=range_.step, dimension=dimension, name=name, start__gte=starts[0])
    known = {start: traffic.decode(text) for start, text in rows.values_list("start", "traffic")}
    return Timeline(range_.step, starts, [known.get(start, Traffic()) for start in starts])


def by_name(range_: Range, dimension: str, now: float | None = None) -> dict[str, Traffic]:
    """The sums of each project, model or backend, the busiest first."""
    since = int(now if now is not None else time.time()) - range_.seconds
    found: dict[str, Traffic] = {}
    since -= since % range_.sum_step
    rows = TrafficBucket.objects.filter(seconds=range_.sum_step, dimension=dimension, start__gte=since)
    for name, text in rows.values_list("name", "traffic"):
        found.setdefault(name, Traffic()).merge(traffic.decode(text))
    return dict(sorted(found.items(), key=lambda each: -each[1].requests))


def known_names(dimension: str) -> list[str]:
    """What there has been to filter by, in the last week."""
    since = int(time.time()) - RANGES["7d"].seconds
    rows = TrafficBucket.objects.filter(seconds=3600, dimension=dimension, start__gte=since)
    return sorted(rows.values_list("name", flat=True).distinct())


def chart(line: Timeline, unit: str, series: Sequence[tuple[str, str, list[float | None]]]) -> dict[str, Any]:
    """What `charts.js` draws: `series` are (label, kind, values); a kind is a colour and a way of drawing."""
    return {
        "unit": unit,
        "step": line.step,
        "x": line.starts,
        "series": [{"label": label, "kind": kind, "values": values} for label, kind, values in series],
    }


def latency(histogram: str, share: float) -> Callable[[Traffic], float | None]:
    return lambda each: _rounded(quantile(getattr(each, histogram), share))


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
