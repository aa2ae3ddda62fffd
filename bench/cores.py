"""Which core is whose, and how much of them went to processes that are none of ours."""

from __future__ import annotations

import os
from pathlib import Path

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT, _LAST_BUSY = 3, 4, 7


def split() -> tuple[set[int], set[int]]:
    """(for the measured server, for load, backend and Valkey): apart where there is more than one core."""
    available = sorted(os.sched_getaffinity(0))
    return {available[0]}, set(available[1:]) or {available[0]}


def describe(server: set[int], rest: set[int]) -> str:
    if server == rest:
        return "One core for everything: the server shares it with its load; trust CPU figures only, and those little."
    return f"Server on core {_listed(server)}; load, backend and Valkey on core {_listed(rest)}."


def busy_seconds(cores: set[int]) -> float:
    """What `cores` have spent on any process since boot, time stolen by the hypervisor included (proc(5))."""
    names = {f"cpu{core}" for core in cores}
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in names:
            ticks += sum(int(each) for at, each in enumerate(fields[: _LAST_BUSY + 1]) if at not in (_IDLE, _IOWAIT))
    return ticks / _CLOCK_TICKS


def _listed(cores: set[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
