"""The figures as plain text, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bench.floors import FLOORS, Measured, cpu_share
from bench.rows import Figures

_SATURATED = 0.95
_UNQUIET = 0.1
_HEADINGS = ("per s", "% CPU", "% rate", "CPU µs", "core %", "p50 ms", "p99 ms", "RSS MiB", "others %")
_WIDTH = 9

LEGEND = f"""\
% CPU   share of bare hello, by requests per second of the server's CPU
% rate  the same by requests per second; only where the server's core was at least {_SATURATED:.0%} busy, in both rows
core %  how busy the server kept its core; below {_SATURATED:.0%}, load, backend or other processes were the limit
others  CPU that processes other than ours took, in % of the cores in use: well above 0, run it again
Streams count tokens for requests, and the gap between two tokens for latency."""


def heading() -> str:
    return f"{'':28}" + "".join(f"{each:>{_WIDTH}}" for each in _HEADINGS)


def line(row: Figures, hello: Figures | None, core_count: int) -> str:
    rate = rate_share(row, hello)
    others = others_share(row, core_count)
    cells = (
        _cell(row.per_second, ",.0f"),
        _cell(cpu_share(row, hello) if hello and not _is_streams(row) else math.nan, ".1f"),
        _cell(rate, ".1f"),
        _cell(row.cpu_us, ".1f"),
        _cell(100 * row.busy, ".0f"),
        _cell(row.p50_ms, ".2f"),
        _cell(row.p99_ms, ".2f"),
        _cell(row.rss_mib, ".0f"),
        _cell(100 * others, ".0f"),
    )
    return f"{row.title:28}" + "".join(cells)


def rate_share(row: Figures, hello: Figures | None) -> float:
    """Percent of hello's requests per second; NaN unless the server was the limit in both."""
    if hello is None or _is_streams(row) or not (row.busy >= _SATURATED and hello.busy >= _SATURATED):
        return math.nan
    return 100 * row.per_second / hello.per_second


def others_share(row: Figures, core_count: int) -> float:
    return row.cost.others / row.cost.seconds / core_count if row.cost.seconds else math.nan


def notes(measured: Measured, core_count: int) -> Iterator[str]:
    """What a reader must know before believing the table."""
    for row in measured.values():
        if row.first_token_p50_ms is not None:
            yield f"{row.title}: first token p50 {row.first_token_p50_ms:.0f} ms, p99 {row.first_token_p99_ms:.0f} ms"
    hello = measured.get("hello")
    if hello and hello.busy < _SATURATED:
        yield f"hello used {hello.busy:.0%} of its core, held up by {_limit(hello, core_count)}: go by % CPU"
    disturbed = [row.title for row in measured.values() if others_share(row, core_count) > _UNQUIET]
    if disturbed:
        yield f"others took more than {_UNQUIET:.0%} of the cores during: {', '.join(disturbed)}"


def _limit(row: Figures, core_count: int) -> str:
    """What kept the server from using its whole core."""
    if others_share(row, core_count) > _UNQUIET:
        return "processes other than ours"
    return "the load generator" if row.cost.rest / row.cost.seconds >= _SATURATED - 0.05 else "waiting for its load"


def floor_lines(measured: Measured) -> Iterator[tuple[str, bool]]:
    """Each promise with its figure, and whether it is kept; what was not measured is not broken."""
    for floor in FLOORS:
        figure = floor.read(measured)
        if math.isnan(figure):
            yield f"  not measured  {floor.promise}", True
        else:
            is_met = floor.is_met(figure)
            yield f"  {'met' if is_met else 'NOT MET':<12}  {floor.promise}: {figure:.2f}", is_met


def as_json(measured: Measured, core_count: int) -> dict[str, Any]:
    """`rows` by name and `floors` by promise; null where there is no figure."""
    hello = measured.get("hello")
    rows = {
        name: {
            **asdict(row),
            "per_second": row.per_second,
            "cpu_us": row.cpu_us,
            "core_busy": row.busy,
            "cpu_share_percent": cpu_share(row, hello) if hello and not _is_streams(row) else None,
            "rate_share_percent": rate_share(row, hello),
            "others_share": others_share(row, core_count),
        }
        for name, row in measured.items()
    }
    floors = {floor.promise: floor.read(measured) for floor in FLOORS}
    return {"rows": {name: _without_nan(row) for name, row in rows.items()}, "floors": _without_nan(floors)}


def _is_streams(row: Figures) -> bool:
    return row.first_token_p50_ms is not None


def _cell(figure: float, form: str) -> str:
    return f"{'-' if math.isnan(figure) else format(figure, form):>{_WIDTH}}"


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(each, float) and math.isnan(each) else each for key, each in row.items()}
