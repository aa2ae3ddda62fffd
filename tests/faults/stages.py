"""Where something is held while a fault strikes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from tests.faults.faults import Fault
from tests.faults.site import FaultSite
from tests.faults.wire import Wire

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stage:
    """The packet on which wire; `forwards` as in `Wire.hold`."""

    wire: Callable[[FaultSite], Wire]
    pattern: bytes
    forwards: bool

    def struck(self, site: FaultSite, fault: Fault, act: Callable[[], T]) -> tuple[T, float]:
        """What `act` returns, which gets here and is hit by `fault`; and the seconds from then to its end."""
        wire = self.wire(site)
        hold = wire.hold(self.pattern, forwards=self.forwards)
        with ThreadPoolExecutor(1) as pool:
            acting = pool.submit(act)
            hold.wait()
            struck_at = time.monotonic()
            fault.happen(lambda: wire.release(hold))
            return acting.result(), time.monotonic() - struck_at


def state(pattern: bytes, *, forwards: bool) -> Stage:
    """On the wire to Redis."""
    return Stage(lambda site: site.state_wire, pattern, forwards)


def backend(pattern: bytes, *, forwards: bool) -> Stage:
    """On the wire to the backend."""
    return Stage(lambda site: site.backend_wire, pattern, forwards)
