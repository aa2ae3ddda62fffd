"""`python -m bench.endurance`: minutes of mixed traffic at four fifths of what the gateway can do, then 2,000 streams.

Cache hits and misses, chains, streams, background runs and clients that leave in the middle. Every ten seconds: rate,
p99, memory and open descriptors of web process and worker. It fails on any answer that is none, and where memory or
descriptors grow after the first third.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import resource
import select
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench import servers, streams
from bench.load import LoadError, percentile
from bench.rows import CACHED, create
from bench.servers import Server
from bench.stage import Stage

CONNECTIONS = 64
SHARE = 0.8
CAPACITY_SECONDS = 10.0
WINDOW_SECONDS = 10.0
LONGEST_CHAIN = 10
STREAMS = 2000
WEIGHTS = {"hit": 30, "miss": 15, "chain": 20, "stream": 20, "background": 5, "abort": 10}
GROWTH, SOME = 1.05, 5
"""What the last third may have more than the second: this share, or so many."""
_ID = re.compile(rb'"id":"(resp_[0-9a-f]+)"')
_numbers = count()


@dataclass(slots=True)
class Window:
    """`memory` in MiB and `descriptors`: of web process and worker."""

    requests: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    memory: tuple[float, ...] = ()
    descriptors: tuple[int, ...] = ()


class Client:
    """One connection that does one thing after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._chain: list[str] = []
        self._kind = ""
        self._answer = b""
        self._sent_at = 0.0
        self.socket = self._connect()

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), 10)

    def send(self) -> None:
        self._kind = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self._answer, self._sent_at = b"", time.perf_counter()
        self.socket.sendall(self._request())

    def _request(self) -> bytes:
        number = next(_numbers)
        if self._kind == "hit":
            return create("answers", CACHED, store=False)
        if self._kind == "miss":
            return create("answers", CACHED, input=f"What of {number}?", store=False)
        if self._kind == "stream":
            return create("turns", stream=True, input=f"Go on, {number}.")
        if self._kind == "abort":
            return create("slow", stream=True, input=f"Slowly, {number}.")
        if self._kind == "background":
            return create("turns", background=True)
        if len(self._chain) >= LONGEST_CHAIN:
            self._chain.clear()
        previous = {"previous_response_id": self._chain[-1]} if self._chain else {}
        return create("answers", input=f"Turn {len(self._chain)}.", **previous)

    def receive(self, window: Window) -> bool:
        """True when it has its answer. Raises `LoadError` for one that is none."""
        packet = self.socket.recv(262_144)
        self._answer += packet
        if not packet or not self._answer.startswith(b"HTTP/1.1 200 "):
            raise self._bad()
        if not self._is_whole():
            return False
        if b'"status":"failed"' in self._answer:
            raise self._bad()
        window.requests += 1
        if self._kind != "abort":
            window.latencies_ms.append((time.perf_counter() - self._sent_at) * 1000)
        if self._kind == "chain" and (found := _ID.search(self._answer)):
            self._chain.append(found[1].decode())
        return True

    def _bad(self) -> LoadError:
        text = self._answer.decode(errors="replace")
        seconds = time.perf_counter() - self._sent_at
        return LoadError(f"{self._kind} after {seconds:.1f} s: {text[:300]} … {text[-1500:]}")

    def _is_whole(self) -> bool:
        if self._kind == "abort":
            return b"event: response.created" in self._answer
        if self._kind == "stream":
            return self._answer.endswith(b"0\r\n\r\n")
        head, _, body = self._answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return bool(length) and len(body) >= int(length)

    @property
    def leaves(self) -> bool:
        return self._kind == "abort"

    def leave(self) -> None:
        self.socket.close()
        self.socket = self._connect()


class Traffic:
    """All clients; `rate` requests per second, 0: as many as there can be."""

    def __init__(self, port: int) -> None:
        self._poll = select.epoll()
        self._clients = [Client(port) for _ in range(CONNECTIONS)]
        self._by_descriptor = {each.socket.fileno(): each for each in self._clients}
        self._idle = deque(self._clients)
        for each in self._clients:
            self._poll.register(each.socket, select.EPOLLIN)

    def run(self, seconds: float, rate: float) -> Window:
        window, began, sent = Window(), time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds:
            while self._idle and (not rate or sent < elapsed * rate):
                self._idle.popleft().send()
                sent += 1
            for descriptor, _ in self._poll.poll(0.001):
                client = self._by_descriptor[descriptor]
                if client.receive(window):
                    if client.leaves:
                        self._reconnect(client, descriptor)
                    self._idle.append(client)
        return window

    def _reconnect(self, client: Client, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        del self._by_descriptor[descriptor]
        client.leave()
        self._by_descriptor[client.socket.fileno()] = client
        self._poll.register(client.socket, select.EPOLLIN)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="default: 10")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stage = stack.enter_context(Stage(folder))
        worker = stack.enter_context(servers.worker(folder, stage.rest_cores, stage.site))
        traffic, watched = Traffic(stage.gateway.port), (stage.gateway, worker)
        capacity = traffic.run(CAPACITY_SECONDS, 0).requests / CAPACITY_SECONDS
        print(f"{capacity:,.0f} requests/s at most; {SHARE:.0%} of it for {options.minutes:g} minutes.\n")
        windows = _measure(traffic, watched, options.minutes * 60, SHARE * capacity)
        return _judge(windows) + _stream(stage)


def _measure(traffic: Traffic, watched: Sequence[Server], seconds: float, rate: float) -> list[Window]:
    windows: list[Window] = []
    print(f"{'s':>6}{'per s':>8}{'p50 ms':>8}{'p99 ms':>8}{'web MiB':>9}{'fds':>6}{'worker MiB':>12}{'fds':>6}")
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        window = traffic.run(WINDOW_SECONDS, rate)
        window.latencies_ms.sort()
        window.memory = tuple(each.rss_mib() for each in watched)
        window.descriptors = tuple(each.descriptors() for each in watched)
        windows.append(window)
        p50, p99 = (percentile(window.latencies_ms, share) for share in (0.5, 0.99))
        (web, worker), (web_fds, worker_fds) = window.memory, window.descriptors
        cells = f"{window.requests / WINDOW_SECONDS:>8,.0f}{p50:>8.1f}{p99:>8.1f}{web:>9.1f}{web_fds:>6}"
        print(f"{time.monotonic() - began:>6.0f}{cells}{worker:>12.1f}{worker_fds:>6}", flush=True)
    return windows


def _judge(windows: Sequence[Window]) -> int:
    """1 where something grew, else 0."""
    third = len(windows) // 3
    if not third:
        return 0
    failed = 0
    series: dict[str, list[float]] = {
        "memory of the web process, MiB": [each.memory[0] for each in windows],
        "memory of the worker, MiB": [each.memory[1] for each in windows],
        "descriptors of the web process": [each.descriptors[0] for each in windows],
        "descriptors of the worker": [each.descriptors[1] for each in windows],
        "p99, ms": [percentile(each.latencies_ms, 0.99) for each in windows],
    }
    for name, values in series.items():
        middle, last = (sum(part) / third for part in (values[third : 2 * third], values[-third:]))
        has_grown = last > max(middle * GROWTH, middle + SOME) and "p99" not in name
        failed |= has_grown
        print(f"{'GROWS' if has_grown else '':>6}  {name}: {middle:,.1f}, then {last:,.1f}")
    return int(failed)


def _stream(stage: Stage) -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    request = create("steady", stream=True)
    seen = streams.run(stage.gateway.port, request, STREAMS, deadline_seconds=120, spread_seconds=10)
    p99 = percentile(seen.gaps_ms, 0.99)
    print(f"\n{STREAMS:,} streams at once: {seen.completed:,} completed, {seen.tokens:,} tokens, p99 gap {p99:.0f} ms")
    return int(seen.completed != STREAMS)


if __name__ == "__main__":
    sys.exit(main())
