"""What is done to the site's parts, and how it is undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.faults.site import FaultSite, Process
from tests.faults.wire import Wire
from tests.valkey import Valkey

STOPPED_SECONDS = 1.0
LATENCY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike`, let what it hits feel it for `seconds`, `heal`."""

    name: str
    strike: Callable[[], None]
    heal: Callable[[], None]
    seconds: float = 0.0

    def happen(self, meanwhile: Callable[[], None]) -> None:
        """`meanwhile` is done as soon as it has struck."""
        self.strike()
        meanwhile()
        time.sleep(self.seconds)
        self.heal()


def faults_of(site: FaultSite) -> dict[str, Fault]:
    """All there are, by name."""
    found: list[Fault] = []
    for name, process in {
        "web process": site.web,
        "worker": site.worker,
        "upkeep worker": site.upkeep,
        "beat": site.beat,
        "backend": site.backend,
    }.items():
        found += _of_process(name, process)
    for name, server in {"Redis": site.valkey, "broker": site.broker}.items():
        found += _of_server(name, server)
    for name, wire in {"Redis": site.state_wire, "broker": site.broker_wire, "backend": site.backend_wire}.items():
        found += _of_wire(name, wire)
    return {each.name: each for each in found}


def _of_process(name: str, process: Process) -> list[Fault]:
    return [
        Fault(f"{name} killed", process.kill, process.start),
        Fault(f"{name} stopped", process.pause, process.resume, STOPPED_SECONDS),
        # Longer than a run's lease.
        Fault(f"{name} stopped for long", process.pause, process.resume, 5.0),
    ]


def _of_server(name: str, server: Valkey) -> list[Fault]:
    return [
        Fault(f"{name} killed", server.stop, server.start, 0.3),
        Fault(f"{name} stopped", server.pause, server.resume, STOPPED_SECONDS),
    ]


def _of_wire(name: str, wire: Wire) -> list[Fault]:
    def set_latency(seconds: float) -> None:
        wire.latency = seconds

    return [
        Fault(f"connections to {name} cut", wire.cut, wire.mend, 0.3),
        Fault(f"{name} slow", partial(set_latency, LATENCY_SECONDS), partial(set_latency, 0.0), STOPPED_SECONDS),
    ]
