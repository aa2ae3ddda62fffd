"""Many streams at once, and how evenly their tokens come."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass, field

_DELTA = b"event: response.output_text.delta\n"
_DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class Streams:
    """What came: tokens, the gaps between two of one stream and the waits for a first, in milliseconds, sorted."""

    tokens: int = 0
    seconds: float = 0
    gaps_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    unfinished: int = 0


class _Stream:
    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.sent_at = time.perf_counter()
        self.last_at = 0.0
        self.socket.sendall(request)


def open_streams(port: int, request: bytes, number: int) -> list[socket.socket]:
    """Streams that are begun and left open."""
    opened = [_Stream(port, request).socket for _ in range(number)]
    for each in opened:
        each.settimeout(20)
        each.recv(65_536)
    return opened


def run(port: int, request: bytes, number: int, seconds: float, spread_seconds: float = 1.0) -> Streams:
    """`number` streams begun evenly over `spread_seconds`, read to their ends, for at most `seconds`."""
    poll = select.epoll()
    live: dict[int, _Stream] = {}
    result = Streams()
    began = time.perf_counter()
    waiting = number
    while (waiting or live) and time.perf_counter() - began < seconds:
        while waiting and (number - waiting) * spread_seconds / number <= time.perf_counter() - began:
            stream = _Stream(port, request)
            live[stream.socket.fileno()] = stream
            poll.register(stream.socket, select.EPOLLIN)
            waiting -= 1
        for descriptor, _ in poll.poll(0.005):
            if _receive(live[descriptor], result):
                poll.unregister(descriptor)
                live.pop(descriptor).socket.close()
    result.seconds = time.perf_counter() - began
    result.unfinished = waiting + len(live)
    for stream in live.values():
        stream.socket.close()
    poll.close()
    result.gaps_ms.sort()
    result.first_ms.sort()
    return result


def _receive(stream: _Stream, result: Streams) -> bool:
    """Counts what has come; True at the stream's end."""
    data = stream.socket.recv(262_144)
    now = time.perf_counter()
    tokens = data.count(_DELTA)
    if tokens:
        if stream.last_at:
            result.gaps_ms.append((now - stream.last_at) * 1000)
        else:
            result.first_ms.append((now - stream.sent_at) * 1000)
        stream.last_at = now
        result.tokens += tokens
    return not data or _DONE in data


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")
