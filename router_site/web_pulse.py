"""What a web process says of itself every two seconds."""

from __future__ import annotations

import socket
import time

from responses_api import metrics
from responses_api.pulse import Pulse, Report, new_process_id
from responses_api.runtime import Runtime


def begin(runtime: Runtime) -> Pulse | None:
    """To be closed by the caller; without a Redis there is nobody to tell."""
    if runtime.pool is None:
        return None
    process_id, started_at = new_process_id(), time.time()

    def describe(lag_ms: float) -> Report:
        return Report(
            id=process_id,
            kind="web",
            name=f"web@{socket.gethostname()}",
            started_at=started_at,
            open_streams=int(next(iter(metrics.OPEN_STREAMS.collect())).samples[0].value),
            lag_ms=round(lag_ms, 1),
            endpoints=runtime.fleet.standings(),
        )

    pulse = Pulse(runtime.pool, describe)
    pulse.start()
    return pulse
