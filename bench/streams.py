"""Many streams at once, and how evenly their tokens come."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass, field

from bench.load import LoadError, check_status

_DELTA = b"event: response.output_text.delta\n"
_COMPLETED = b"event: response.completed\n"
_LAST_CHUNK = b"0\r\n\r\n"
_TAIL_BYTES = max(len(_DELTA), len(_COMPLETED)) - 1
_PACKET_BYTES = 262_144
_OPEN_SECONDS = 20


@dataclass(slots=True)
class Streams:
    """What came: tokens, the gaps between two of one stream and the waits for a first, in milliseconds, sorted."""

    tokens: int = 0
    seconds: float = 0
    gaps_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    completed: int = 0


class _Stream:
    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _OPEN_SECONDS)
        self._sent_at = time.perf_counter()
        self._heard_at = 0.0
        self._tail = b""
        self._is_completed = False
        self.socket.sendall(request)

    def receive(self, result: Streams) -> bool:
        """Counts what has come; True at the stream's end. Raises `LoadError` where that is not a good one."""
        packet = self.socket.recv(_PACKET_BYTES)
        now = time.perf_counter()
        if not self._tail:
            check_status(packet)
        # A line may be cut between two packets; the tail is shorter than it, so none counts twice.
        text = self._tail + packet
        tokens = text.count(_DELTA) - self._tail.count(_DELTA)
        self._tail = text[-_TAIL_BYTES:]
        if tokens:
            self._note(now, result)
            result.tokens += tokens
        self._is_completed = self._is_completed or _COMPLETED in text
        if packet and not packet.endswith(_LAST_CHUNK):
            return False
        if not self._is_completed:
            raise LoadError(f"a stream ended before it was complete: {text[-300:].decode(errors='replace')!r}")
        result.completed += 1
        return True

    def _note(self, now: float, result: Streams) -> None:
        if self._heard_at:
            result.gaps_ms.append((now - self._heard_at) * 1000)
        else:
            result.first_ms.append((now - self._sent_at) * 1000)
        self._heard_at = now


def run(port: int, request: bytes, number: int, deadline_seconds: float, spread_seconds: float = 1.0) -> Streams:
    """`number` streams begun evenly over `spread_seconds`, read to their ends.

    Raises `LoadError` when one fails, or is not complete after `deadline_seconds`.
    """
    poll = select.epoll()
    live: dict[int, _Stream] = {}
    result = Streams()
    began = time.perf_counter()
    begun = 0
    try:
        while begun < number or live:
            elapsed = time.perf_counter() - began
            if elapsed > deadline_seconds:
                raise LoadError(f"{number - result.completed} of {number} streams incomplete after {elapsed:.0f} s")
            while begun < number and begun * spread_seconds <= elapsed * number:
                stream = _Stream(port, request)
                live[stream.socket.fileno()] = stream
                poll.register(stream.socket, select.EPOLLIN)
                begun += 1
            for descriptor, _ in poll.poll(0.005):
                if live[descriptor].receive(result):
                    poll.unregister(descriptor)
                    live.pop(descriptor).socket.close()
    finally:
        for stream in live.values():
            stream.socket.close()
        poll.close()
    result.seconds = time.perf_counter() - began
    result.gaps_ms.sort()
    result.first_ms.sort()
    return result


def open_streams(port: int, request: bytes, number: int) -> list[socket.socket]:
    """Streams that have begun to answer and are left open. Raises `LoadError` when one is refused."""
    opened = [_Stream(port, request).socket for _ in range(number)]
    for each in opened:
        check_status(each.recv(_PACKET_BYTES))
    return opened
