"""`python -m bench.scaling`: two web processes beside one, on the same socket and Redis.

Two processes, load, Redis and backend want more than the two cores that a small machine has. So the kernel holds each
web process to the same share of a core (a control group's CPU quota), and nobody takes another's time: the ratio is
then that of one and two processes with a slow core each. It needs Linux and root.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import load, servers
from bench.load import LoadError, request_bytes
from bench.rows import CACHED, create, stored_chain
from bench.servers import Server
from bench.stage import ANSWER_BYTES

SHARE = 0.2
"""Of a core, for each web process."""
_PERIOD_US = 10_000
_WARM_UP_SECONDS = 2.0
_IDLE_SECONDS = 1.0

REQUESTS: dict[str, Callable[[int], bytes]] = {
    "cache hit, store: false": lambda _: create("answers", CACHED, store=False),
    "cache hit, store: true": lambda _: create("answers", CACHED),
    "GET /v1/responses/{id}": lambda port: request_bytes("GET", f"/v1/responses/{stored_chain(port, 1)}"),
    "proxied, store: false": lambda _: create("answers", store=False),
    "proxied, store: true": lambda _: create("answers"),
}
"""What is asked, by the port of who is asked."""


def main() -> int:
    options = _options()
    if sys.platform != "linux" or os.geteuid() != 0:
        print("CPU quotas are set in /sys/fs/cgroup: this needs Linux and root.", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            one, two = (_measure(Path(name), count, options.share, options.seconds) for count in (1, 2))
    except LoadError as error:
        print(f"The benchmark stops: {error}", file=sys.stderr)
        return 1
    print(f"Each web process has {options.share:.0%} of a core; {load.CONNECTIONS} connections in all.\n")
    print("| requests/s | one | two | ratio |\n|---|---:|---:|---:|")
    for title in REQUESTS:
        print(f"| {title} | {one[title]:,.0f} | {two[title]:,.0f} | {two[title] / one[title]:.2f} |")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=SHARE, help="of a core for each process (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each kind of request (default: %(default)s)")
    return parser.parse_args()


def _measure(folder: Path, count: int, share: float, seconds: float) -> dict[str, float]:
    """Requests per second of so many processes together, by what was asked."""
    cores = os.sched_getaffinity(0)
    with ExitStack() as stack:
        redis = stack.enter_context(servers.valkey(folder, cores))
        backend = stack.enter_context(servers.backend(folder, cores, "--answer-bytes", str(ANSWER_BYTES)))
        environ = servers.site(folder, f"{{address: '127.0.0.1:{redis.port}'}}", {"answers": backend})
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        port: int = listener.getsockname()[1]
        web = [stack.enter_context(servers.shared_gateway(folder, cores, environ, listener)) for _ in range(count)]
        requests = {title: make(port) for title, make in REQUESTS.items()}
        for server in web:
            _wait_until_idle(server)
            stack.enter_context(_held_to(server.pid, share))
        return {title: _rate(port, request, seconds) for title, request in requests.items()}


def _rate(port: int, request: bytes, seconds: float) -> float:
    with load.clients(port, request) as clients:
        clients.run(_WARM_UP_SECONDS)
        seen = clients.run(seconds)
    return seen.requests / seen.seconds


def _wait_until_idle(server: Server) -> None:
    """It has started, and waits for work."""
    before = -1.0
    while (spent := server.cpu_seconds()) - before > 0.02:
        before = spent
        time.sleep(_IDLE_SECONDS)


@contextlib.contextmanager
def _held_to(pid: int, share: float) -> Iterator[None]:
    """The process has `share` of a core, in pieces of a few milliseconds, and no more."""
    quota, settings = int(share * _PERIOD_US), Path("/sys/fs/cgroup/cpu")
    group = (settings if settings.is_dir() else Path("/sys/fs/cgroup")) / f"responses-router-bench-{pid}"
    group.mkdir()
    try:
        for name, value in _limits(group, quota):
            (group / name).write_text(value)
        (group / "cgroup.procs").write_text(str(pid))
        yield
        (group.parent / "cgroup.procs").write_text(str(pid))
    finally:
        with contextlib.suppress(OSError):  # until the process has gone it cannot be removed
            group.rmdir()


def _limits(group: Path, quota: int) -> Sequence[tuple[str, str]]:
    if (group / "cpu.max").exists():  # cgroup v2
        return [("cpu.max", f"{quota} {_PERIOD_US}")]
    return [("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", str(quota))]


if __name__ == "__main__":
    sys.exit(main())
