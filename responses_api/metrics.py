"""Every counter and histogram, named once.

Counting is on the path of every request, and prometheus' own way takes 1 µs a time in one process and 2 in several,
which write to a shared file. So what is counted is gathered, and given to it all at once.
"""

from __future__ import annotations

import collections
from bisect import bisect_left
from functools import cache

import prometheus_client
from prometheus_client import Gauge

from responses_api.gathering import Gathering

GATHER_SECONDS = 0.25


class Counter(prometheus_client.Counter):
    """Counts when what has gathered is handed over."""

    def inc(self, amount: float = 1, exemplar: object = None) -> None:
        _gathering.add((self, amount))

    def take(self, amounts: list[float]) -> None:
        super().inc(sum(amounts))


class Histogram(prometheus_client.Histogram):
    """The same; a bucket is raised once for all that fall into it."""

    def observe(self, amount: float, exemplar: object = None) -> None:
        _gathering.add((self, amount))

    def take(self, amounts: list[float]) -> None:
        self._sum.inc(sum(amounts))
        places = collections.Counter(bisect_left(self._upper_bounds, each) for each in amounts)
        for place, number in places.items():
            self._buckets[place].inc(number)


def _take(counted: list[tuple[Counter | Histogram, float]]) -> None:
    amounts: dict[Counter | Histogram, list[float]] = {}
    for metric, amount in counted:
        amounts.setdefault(metric, []).append(amount)
    for metric, each in amounts.items():
        metric.take(each)


_gathering = Gathering(_take, GATHER_SECONDS, "metrics")
hand_over = _gathering.hand_over
"""Before what this process counted is read."""

REQUESTS = Counter("router_requests_total", "Requests by route and HTTP status.", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "router_request_seconds",
    "From the request's first byte to the end of its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
FIRST_TOKEN_SECONDS = Histogram(
    "router_first_token_seconds",
    "From the request's first byte to the first output of its stream, whoever gave it.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
OPEN_STREAMS = Gauge("router_open_streams", "Streams being sent.", multiprocess_mode="livesum")
OPEN_SOCKETS = Gauge("router_open_websockets", "WebSocket connections.", multiprocess_mode="livesum")
TOKENS = Counter("router_tokens_total", "Tokens as the backends reported them.", ["backend", "kind"])
BACKEND_CALLS = Counter("router_backend_calls_total", "Calls to backends by outcome.", ["backend", "outcome"])
BACKEND_OPEN = Gauge(
    "router_backend_spared", "1 while a backend is not asked, having failed.", ["backend"], multiprocess_mode="livemax"
)
FAILOVERS = Counter(
    "router_failovers_total", "Calls that another backend had failed before, by who took over.", ["backend"]
)
BACKENDS_UNREAD = Counter("router_backends_unread_total", "Times that the console's backends could not be read.")
CLIENT_DISCONNECTS = Counter("router_client_disconnects_total", "Clients that left before their answer's end.")
STORE_ERRORS = Counter("router_store_errors_total", "Store operations that failed.", ["operation"])
CHAIN_MISSING = Counter("router_chain_missing_total", "Deleted or expired ancestors skipped in chains.")
BACKGROUND_RUNS = Counter("router_background_runs_total", "Background runs by what happened to them.", ["event"])
NUDGES_LOST = Counter("router_nudges_lost_total", "Times that background runs could not be put into the queue.")
SHED = Counter("router_shed_total", "Requests turned away since as many were being served as may be.")
LIMITED = Counter("router_limited_total", "Requests refused by a limit of their project or key.", ["limit"])
LIMITS_UNCHECKED = Counter("router_limits_unchecked_total", "Times that limits could not be looked at or charged.")
CACHE_VERDICTS = Counter("router_cache_verdicts_total", "Requests by the cache's verdict.", ["verdict", "reason"])
CACHE_FAULTS = Counter("router_cache_faults_total", "What went wrong in the cache and cost nobody an answer.", ["kind"])
CACHE_WRITES = Counter("router_cache_writes_total", "Answers for the cache by what became of them.", ["outcome"])
WEBHOOK_ATTEMPTS = Counter("router_webhook_attempts_total", "Attempts to deliver webhooks by outcome.", ["outcome"])
INDEX_DROPPED = Counter("router_index_dropped_total", "Index entries that could not be handed to Redis.")
INDEX_DRAINED = Counter("router_index_drained_total", "Index entries taken from Redis.")
TAIL_LOST = Counter("router_tail_lost_total", "Batches that the console's live tail did not get to see.")
INDEX_REJECTED = Counter("router_index_rejected_total", "Index entries that could not be read and were set aside.")


@cache
def of(metric: Counter, *labels: str) -> Counter:
    """A labelled counter, found once: prometheus' own search costs 2 µs each time."""
    return metric.labels(*labels)
