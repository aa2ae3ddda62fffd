"""Closed-loop load over raw sockets: the next request leaves when the answer is here.

Epoll and precomputed bytes, since an asyncio client tires before a bare ASGI server does.
"""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw; latencies in milliseconds, sorted."""

    requests: int
    seconds: float
    latencies_ms: list[float]

    def percentile(self, share: float) -> float:
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(len(self.latencies_ms) * share))]


def request_bytes(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class _Connection:
    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._answer = b""
        self._length = -1
        self.sent_at = 0.0

    def send(self) -> None:
        self._answer, self._length = b"", -1
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self) -> bool:
        """Takes what has come; True when the answer is whole."""
        self._answer += self.socket.recv(262_144)
        if self._length < 0 and (end := self._answer.find(b"\r\n\r\n")) >= 0:
            head = self._answer[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"an answer that is no 200: {self._answer[:600].decode(errors='replace')}")
            self._length = end + 4 + int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return 0 <= self._length <= len(self._answer)


def run(port: int, request: bytes, seconds: float, connections: int = CONNECTIONS) -> Load:
    """`connections` clients for `seconds`. Exits the benchmark on any answer but a 200."""
    clients = [_Connection(port, request) for _ in range(connections)]
    poll = select.epoll()
    by_descriptor = {client.socket.fileno(): client for client in clients}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    latencies: list[float] = []
    began = time.perf_counter()
    for client in clients:
        client.send()
    ends = began + seconds
    while (now := time.perf_counter()) < ends:
        for descriptor, _ in poll.poll(0.5):
            client = by_descriptor[descriptor]
            if client.receive():
                latencies.append(time.perf_counter() - client.sent_at)
                client.send()
    for client in clients:
        client.socket.close()
    poll.close()
    return Load(len(latencies), now - began, sorted(each * 1000 for each in latencies))
