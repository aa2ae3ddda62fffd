"""What is counted in one go is what would have been counted one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from responses_api import metrics


def test_a_histogram_counts_as_prometheus_own_does() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    buckets = (0.1, 0.5, 1)
    histogram = metrics.Histogram("seconds", "Help.", ["route"], buckets=buckets, registry=ours)
    other = prometheus_client.Histogram("seconds", "Help.", ["route"], buckets=buckets, registry=theirs)
    for seconds in (0, 0.05, 0.1, 0.100001, 0.5, 0.75, 1, 1.5, 300):
        histogram.labels("a").observe(seconds)
        other.labels("a").observe(seconds)
    metrics.hand_over()
    assert _without_times(ours) == _without_times(theirs)


def test_a_counter_counts_all_its_children() -> None:
    registry = CollectorRegistry()
    counter = metrics.Counter("things", "Help.", ["kind"], registry=registry)
    for number in range(10):
        counter.labels("odd" if number % 2 else "even").inc(number)
        metrics.of(counter, "all").inc()
    metrics.hand_over()
    counted = [registry.get_sample_value("things_total", {"kind": kind}) for kind in ("odd", "even", "all")]
    assert counted == [25, 20, 10]


def test_several_processes_count_into_one_directory(tmp_path: Path) -> None:
    count = "from responses_api import metrics; metrics.SHED.inc(2); metrics.REQUEST_SECONDS.labels('a').observe(0.02)"
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], env=environ, check=True, timeout=30)
    together = CollectorRegistry()
    MultiProcessCollector(together, str(tmp_path))  # type: ignore[no-untyped-call]
    assert together.get_sample_value("router_shed_total") == 4
    assert together.get_sample_value("router_request_seconds_bucket", {"route": "a", "le": "0.025"}) == 2
    assert together.get_sample_value("router_request_seconds_count", {"route": "a"}) == 2


def _without_times(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
