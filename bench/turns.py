"""Streamed turns one after the other on kept connections: by HTTP, over a WebSocket, or out of a log."""

from __future__ import annotations

import base64
import os
import select
import socket
import struct
import time
from typing import Any

import httpx
import msgspec

from bench.load import Load, LoadError, request_bytes
from bench.servers import Server

CONNECTIONS = 16
_PACKET_BYTES = 262_144
_HTTP_END = b"0\r\n\r\n"
_SOCKET_END = b'"type":"response.completed"'
_FAILURES = (b'"type":"response.failed"', b'"type":"error"', b"HTTP/1.1 4", b"HTTP/1.1 5")
_PATIENCE_SECONDS = 20


class _Client:
    """One connection; a turn is over when `end` has come and nothing is left of it."""

    def __init__(self, port: int, request: bytes, end: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS)
        self._request = request
        self._end = end
        self._tail = b""
        self.sent_at = 0.0

    def send(self) -> None:
        self._tail = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self) -> bool:
        """Is the turn over? Raises `LoadError` for one that failed."""
        packet = self.socket.recv(_PACKET_BYTES)
        text = self._tail + packet
        if not packet or any(mark in text for mark in _FAILURES):
            raise LoadError(f"a turn failed: {text[-300:]!r}")
        self._tail = text[-2000:]
        return self._end in text


def run(port: int, body: dict[str, Any], seconds: float, *, over_websocket: bool) -> Load:
    """Raises `LoadError`."""
    if over_websocket:
        frame = _masked_frame(msgspec.json.encode({"type": "response.create", **body}))
        clients = [_Client(port, frame, _SOCKET_END) for _ in range(CONNECTIONS)]
        for client in clients:
            _shake_hands(client.socket)
    else:
        request = request_bytes("POST", "/v1/responses", msgspec.json.encode({**body, "stream": True}))
        clients = [_Client(port, request, _HTTP_END) for _ in range(CONNECTIONS)]
    return _repeat(clients, seconds)


def repeat_stream(port: int, request: bytes, seconds: float) -> Load:
    """One stream after the other on one connection. Raises `LoadError`."""
    return _repeat([_Client(port, request, _HTTP_END)], seconds)


def finished_stream(port: int, worker: Server) -> tuple[str, int]:
    """The path of a background response whose stream is over, and its last event's number; `worker` makes it."""
    assert worker.port == 0
    body = {"model": "answers", "input": "What do you think of this?", "background": True, "stream": True}
    last = None
    url = f"http://127.0.0.1:{port}/v1/responses"
    with httpx.stream("POST", url, json=body, trust_env=False, timeout=_PATIENCE_SECONDS) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                last = msgspec.json.decode(line.removeprefix("data: "))
    if last is None or last["type"] != "response.completed":
        raise LoadError(f"the stream to resume did not end well: {last}")
    return f"/v1/responses/{last['response']['id']}", last["sequence_number"]


def _repeat(clients: list[_Client], seconds: float) -> Load:
    latencies: list[float] = []
    poll = select.epoll()
    by_descriptor = {client.socket.fileno(): client for client in clients}
    began = time.perf_counter()
    try:
        for descriptor, client in by_descriptor.items():
            poll.register(descriptor, select.EPOLLIN)
            client.send()
        while (now := time.perf_counter()) - began < seconds:
            for descriptor, _ in poll.poll(0.05):
                client = by_descriptor[descriptor]
                if client.receive():
                    latencies.append(time.perf_counter() - client.sent_at)
                    client.send()
    finally:
        for client in clients:
            client.socket.close()
        poll.close()
    return Load(now - began, sorted(each * 1000 for each in latencies))


def _shake_hands(connection: socket.socket) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /v1/responses HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = connection.recv(_PACKET_BYTES)
    if not answer.startswith(b"HTTP/1.1 101"):
        raise LoadError(f"no WebSocket: {answer[:200]!r}")


def _masked_frame(text: bytes) -> bytes:
    """One text frame as clients must send it, under a mask of zeros (RFC 6455 §5.2); up to 64 KiB."""
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
    return b"\x81" + length + bytes(4) + text
