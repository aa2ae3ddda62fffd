"""`python -m bench.scaling`: two web processes beside one, on the same socket and Redis.

Two processes, load, Redis and backend want more cores than a small machine has. So the table also has what a request
costs each time: where two processes spend no more CPU on it than one, two cores do twice the work of one.

The load is wrk's (`apt install wrk`): it costs a tenth of what `bench.load` does, and leaves the cores to the servers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.load import CONNECTIONS, LoadError
from bench.rows import stored_chain
from bench.servers import Server
from bench.stage import ANSWER_BYTES

ROUNDS = 2
"""One process, two, one, two: a machine that grows slower meanwhile does so for both."""
_WARM_UP_SECONDS = 2
_IDLE_SHARE = 0.4
"""Of a core: a process that starts wants all of it."""

CACHED = {"x-cache-key": "bench"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A `POST /v1/responses` with these headers and fields; without fields a `GET` of a stored one."""

    title: str
    headers: Mapping[str, str]
    fields: Mapping[str, object] | None

    def command(self, folder: Path, port: int) -> list[str]:
        """wrk's, but for its duration."""
        command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS)]
        url = f"http://127.0.0.1:{port}/v1/responses"
        if self.fields is None:
            return [*command, f"{url}/{stored_chain(port, 1)}"]
        body = json.dumps({"model": "answers", "input": "What do you think of this?", **self.fields})
        headers = {"content-type": "application/json", **self.headers}
        lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
        script = folder / "request.lua"
        script.write_text("\n".join(['wrk.method = "POST"', *lines, f"wrk.body = {json.dumps(body)}"]))
        return [*command, "--script", str(script), url]


ASKED = (
    Asked("cache hit, store: false", CACHED, {"store": False}),
    Asked("cache hit, store: true", CACHED, {}),
    Asked("GET /v1/responses/{id}", {}, None),
    Asked("proxied, store: false", {}, {"store": False}),
    Asked("proxied, store: true", {}, {}),
)


@dataclass(slots=True)
class Seen:
    """`cpu_seconds`: of all web processes together."""

    requests: int = 0
    seconds: float = 0
    cpu_seconds: float = 0

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """For one request."""
        return self.cpu_seconds / self.requests * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=6, help="for each kind of request (default: %(default)s)")
    seconds: int = parser.parse_args().seconds
    if shutil.which("wrk") is None:
        print("The benchmark needs wrk: apt install wrk.", file=sys.stderr)
        return 1
    seen = {(asked.title, count): Seen() for asked in ASKED for count in (1, 2)}
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            for _ in range(ROUNDS):
                for count in (1, 2):
                    _measure(Path(name), count, seconds, seen)
    except LoadError as error:
        print(f"The benchmark stops: {error}", file=sys.stderr)
        return 1
    print(f"{len(os.sched_getaffinity(0))} cores for everything; {CONNECTIONS} connections.\n")
    print("| | one, /s | two, /s | ratio | one, CPU µs | two, CPU µs | ratio with a core for each |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for asked in ASKED:
        one, two = seen[asked.title, 1], seen[asked.title, 2]
        figures = f"{one.per_second:,.0f} | {two.per_second:,.0f} | {two.per_second / one.per_second:.2f}"
        costs = f"{one.cpu_us:.0f} | {two.cpu_us:.0f} | {2 * one.cpu_us / two.cpu_us:.2f}"
        print(f"| {asked.title} | {figures} | {costs} |")
    return 0


def _measure(folder: Path, count: int, seconds: int, seen: Mapping[tuple[str, int], Seen]) -> None:
    """So many processes together; what they do is added to `seen`."""
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
        for asked in ASKED:
            _ask(asked.command(folder, port), web, seconds, seen[asked.title, count])


def _ask(command: Sequence[str], web: Sequence[Server], seconds: int, seen: Seen) -> None:
    _run(command, _WARM_UP_SECONDS)
    before = sum(server.cpu_seconds() for server in web)
    requests, lasted = _run(command, seconds)
    seen.cpu_seconds += sum(server.cpu_seconds() for server in web) - before
    seen.requests += requests
    seen.seconds += lasted


def _run(command: Sequence[str], seconds: int) -> tuple[int, float]:
    """Requests answered, and in how many seconds. Raises `LoadError` where one was answered with anything but 200."""
    told = subprocess.run([*command, "--duration", f"{seconds}s"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) requests in ([\d.]+)(m?)s,", told.stdout)
    if found is None or "Non-2xx" in told.stdout or "Socket errors" in told.stdout:
        raise LoadError(f"wrk: {told.stdout}{told.stderr}")
    return int(found[1]), float(found[2]) / (1000 if found[3] else 1)


def _wait_until_idle(server: Server) -> None:
    """It has started, and waits for work."""
    before = -1.0
    while (spent := server.cpu_seconds()) - before > _IDLE_SHARE or spent < _IDLE_SHARE:
        before = spent
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
