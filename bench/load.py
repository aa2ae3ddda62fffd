"""Closed-loop load over keep-alive sockets: the next request leaves when the answer is here.

Epoll and prebuilt bytes, since an asyncio client tires before a bare ASGI server does. It never sleeps: waking it up
would be charged to the server whose answer does so, 20 µs each on a virtual machine, and to the slower servers only,
since a fast one never lets it sleep. It sleeps only where Valkey has so much to do that it would be in its way.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

CONNECTIONS = 64
_PACKET_BYTES = 262_144
_PATIENCE_SECONDS = 10


class LoadError(Exception):
    """An answer that is no 200, or none at all: figures of errors mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw; latencies in milliseconds, sorted."""

    seconds: float
    latencies_ms: list[float]
    odd: int = 0
    """Answers without the header that was expected."""

    @property
    def requests(self) -> int:
        return len(self.latencies_ms)


def percentile(ordered: list[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `ordered` lies; NaN of nothing."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def request_bytes(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """`headers` as they travel, each with its line end."""
    head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\n{headers}"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


DISTINCT = b"#000000000000#"
"""In a request: each time it is sent, another text of this length stands there."""
_numbers = count()


def check_status(answer: bytes) -> None:
    """Raises `LoadError` unless an answer that has begun says 200."""
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise LoadError(f"an answer that is no 200: {answer[:600].decode(errors='replace')!r}")


class _Connection:
    def __init__(self, port: int, request: bytes, expected: bytes) -> None:
        self._expected = expected
        self.is_odd = False
        self.socket = socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._is_distinct = DISTINCT in request
        self._answer = b""
        self._length = -1
        self.sent_at = 0.0

    def send(self) -> None:
        self._answer, self._length = b"", -1
        request = self._request
        if self._is_distinct:
            request = request.replace(DISTINCT, b"#%012d#" % next(_numbers))
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Takes what has come; True when the answer is whole."""
        packet = self.socket.recv(_PACKET_BYTES)
        if not packet:
            raise LoadError("the server closed a connection")
        self._answer += packet
        if self._length < 0 and (end := self._answer.find(b"\r\n\r\n")) >= 0:
            check_status(self._answer)
            self._length = end + 4 + _content_length(self._answer[:end])
            self.is_odd = self._expected not in self._answer[:end]
        return 0 <= self._length <= len(self._answer)


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


class Clients:
    """`connections` keep-alive clients of one server, each sending the same request again and again."""

    def __init__(
        self, port: int, request: bytes, connections: int, patience: float, sleeps: bool, expected: bytes
    ) -> None:
        self._patience = patience
        self._poll_seconds = 0.1 if sleeps else 0.0
        self._poll = select.epoll()
        self._by_descriptor: dict[int, _Connection] = {}
        for _ in range(connections):
            client = _Connection(port, request, expected)
            self._by_descriptor[client.socket.fileno()] = client
            self._poll.register(client.socket, select.EPOLLIN)
        self._are_sending = False

    def run(self, seconds: float) -> Load:
        """Load for `seconds`; requests in flight at its end are the next run's. Raises `LoadError`."""
        if not self._are_sending:
            self._are_sending = True
            for client in self._by_descriptor.values():
                client.send()
        latencies: list[float] = []
        odd = 0
        began = heard_at = now = time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            ready = self._poll.poll(self._poll_seconds)
            if ready:
                heard_at = now
            elif now - heard_at > self._patience:
                raise LoadError(f"no answer for {self._patience} s")
            else:
                os.sched_yield()  # Valkey and backends, which share the core, come first
            for descriptor, _ in ready:
                client = self._by_descriptor[descriptor]
                if client.receive():
                    latencies.append(time.perf_counter() - client.sent_at)
                    odd += client.is_odd
                    client.send()
        return Load(now - began, sorted(each * 1000 for each in latencies), odd)

    def close(self) -> None:
        for client in self._by_descriptor.values():
            client.socket.close()
        self._poll.close()


@contextlib.contextmanager
def clients(
    port: int,
    request: bytes,
    connections: int = CONNECTIONS,
    patience: float = _PATIENCE_SECONDS,
    *,
    sleeps: bool = False,
    expected: bytes = b"",
) -> Iterator[Clients]:
    """`patience` in seconds: when nobody has had an answer for so long, something is wrong. `sleeps`: see above.

    `expected`: what the head of an answer should have.
    """
    made = Clients(port, request, connections, patience, sleeps, expected)
    try:
        yield made
    finally:
        made.close()
