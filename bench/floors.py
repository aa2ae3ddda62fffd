"""What this stage promises, and whether a run's figures keep it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.rows import Figures

Measured = Mapping[str, Figures]
"""Row name → its figures; a row that did not run is absent."""


@dataclass(frozen=True, slots=True)
class Floor:
    """`figure` must reach `bound`, or must not pass it where `is_ceiling`."""

    promise: str
    figure: Callable[[Measured], float]
    bound: float
    is_ceiling: bool = True

    def read(self, measured: Measured) -> float:
        """The figure; NaN where a row it needs did not run."""
        try:
            return self.figure(measured)
        except KeyError:
            return math.nan

    def is_met(self, figure: float) -> bool:
        return figure <= self.bound if self.is_ceiling else figure >= self.bound


def cpu_share(row: Figures, hello: Figures) -> float:
    """Requests per second of CPU, in percent of hello's: it holds also where load or backend was the limit."""
    return 100 * hello.cpu_us / row.cpu_us


FLOORS = (
    Floor("proxied store:true, % of hello >= 12", lambda m: cpu_share(m["stored"], m["hello"]), 12, is_ceiling=False),
    Floor("GET by id, % of hello >= 28", lambda m: cpu_share(m["get"], m["hello"]), 28, is_ceiling=False),
    Floor(
        "hit store:false, % of hello >= 28", lambda m: cpu_share(m["hit-unstored"], m["hello"]), 28, is_ceiling=False
    ),
    Floor("hit store:true, % of hello >= 18", lambda m: cpu_share(m["hit-stored"], m["hello"]), 18, is_ceiling=False),
    Floor("a miss, x CPU without a cache <= 1.15", lambda m: m["miss"].cpu_us / m["uncached"].cpu_us, 1.15),
    Floor("a recorded stream of 500 tokens, p50 in ms <= 10", lambda m: m["replay"].p50_ms, 10),
    Floor("20-turn follow-up, x CPU of a first turn <= 2.5", lambda m: m["follow-up"].cpu_us / m["stored"].cpu_us, 2.5),
    Floor("three endpoints, x CPU of one <= 1.05", lambda m: m["stored-spread"].cpu_us / m["stored"].cpu_us, 1.05),
    Floor(
        "every page of the console opened, throughput kept >= 0.95",
        lambda m: m["console"].per_second / m["console"].undisturbed,
        0.95,
        is_ceiling=False,
    ),
    Floor(
        "Redis Cluster, x CPU of standalone <= 1.43", lambda m: m["stored-cluster"].cpu_us / m["stored"].cpu_us, 1.43
    ),
    Floor("170 streams at 50 tokens/s, p99 gap in ms <= 40", lambda m: m["streams-170"].p99_ms, 40),
    Floor("170 streams at 50 tokens/s, CPU µs per token <= 60", lambda m: m["streams-170"].cpu_us, 60),
    Floor("300 streams at 50 tokens/s, p99 gap in ms <= 40", lambda m: m["streams-300"].p99_ms, 40),
    Floor("300 streams at 50 tokens/s, CPU µs per token <= 60", lambda m: m["streams-300"].cpu_us, 60),
    Floor("idle, RSS in MiB <= 150", lambda m: m["memory-idle"].rss_mib, 150),
    Floor("1,000 open streams, RSS in MiB <= 300", lambda m: m["memory-streams"].rss_mib, 300),
)
