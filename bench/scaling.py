"""`python -m bench.scaling`: two web processes beside one, on the same socket and Redis.

Two processes, load, Redis and backend want more cores than a small machine has. So the table also has what a request
costs each time: where two processes spend no more CPU on it than one, two cores do twice the work of one.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import load, servers
from bench.load import LoadError, request_bytes
from bench.rows import CACHED, create, stored_chain
from bench.servers import Server
from bench.stage import ANSWER_BYTES

_WARM_UP_SECONDS = 2.0
_IDLE_SHARE = 0.4
"""Of a core: a process that starts wants all of it."""

REQUESTS: dict[str, Callable[[int], bytes]] = {
    "cache hit, store: false": lambda _: create("answers", CACHED, store=False),
    "cache hit, store: true": lambda _: create("answers", CACHED),
    "GET /v1/responses/{id}": lambda port: request_bytes("GET", f"/v1/responses/{stored_chain(port, 1)}"),
    "proxied, store: false": lambda _: create("answers", store=False),
    "proxied, store: true": lambda _: create("answers"),
}
"""What is asked, by the port of who is asked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`cpu_us`: of all web processes together, for one request."""

    per_second: float
    cpu_us: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="for each kind of request (default: %(default)s)")
    seconds: float = parser.parse_args().seconds
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            one, two = (_measure(Path(name), count, seconds) for count in (1, 2))
    except LoadError as error:
        print(f"The benchmark stops: {error}", file=sys.stderr)
        return 1
    print(f"{len(os.sched_getaffinity(0))} cores for everything; {load.CONNECTIONS} connections.\n")
    print("| | one, /s | two, /s | ratio | one, CPU µs | two, CPU µs | ratio with a core for each |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for title in REQUESTS:
        before, after = one[title], two[title]
        figures = f"{before.per_second:,.0f} | {after.per_second:,.0f} | {after.per_second / before.per_second:.2f}"
        costs = f"{before.cpu_us:.0f} | {after.cpu_us:.0f} | {2 * before.cpu_us / after.cpu_us:.2f}"
        print(f"| {title} | {figures} | {costs} |")
    return 0


def _measure(folder: Path, count: int, seconds: float) -> dict[str, Seen]:
    """So many processes together, by what was asked."""
    cores = os.sched_getaffinity(0)
    with ExitStack() as stack:
        redis = stack.enter_context(servers.valkey(folder, cores))
        backend = stack.enter_context(servers.backend(folder, cores, "--answer-bytes", str(ANSWER_BYTES)))
        environ = servers.site(folder, f"{{address: '127.0.0.1:{redis.port}'}}", {"answers": backend})
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        port: int = listener.getsockname()[1]
        web = [stack.enter_context(servers.shared_gateway(folder, cores, environ, listener)) for _ in range(count)]
        for server in web:
            _wait_until_idle(server)
        return {title: _ask(port, make(port), web, seconds) for title, make in REQUESTS.items()}


def _ask(port: int, request: bytes, web: Sequence[Server], seconds: float) -> Seen:
    with load.clients(port, request, sleeps=True) as clients:
        clients.run(_WARM_UP_SECONDS)
        before = sum(server.cpu_seconds() for server in web)
        seen = clients.run(seconds)
        spent = sum(server.cpu_seconds() for server in web) - before
    return Seen(seen.requests / seen.seconds, spent / seen.requests * 1e6)


def _wait_until_idle(server: Server) -> None:
    """It has started, and waits for work."""
    before = -1.0
    while (spent := server.cpu_seconds()) - before > _IDLE_SHARE or spent < _IDLE_SHARE:
        before = spent
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
