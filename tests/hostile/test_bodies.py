"""Bodies and connections that nobody means well with: a clear refusal, in time, and everyone else is served."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway import Gateway

MIB = 1024 * 1024
HEADERS = {"content-type": "application/json"}
DEEP = 100_000
QUESTION = b'{"model":"m","input":"hi"'


def spread(size: int) -> Iterator[bytes]:
    """A body of unknown length."""
    for _ in range(size // MIB):
        yield b" " * MIB


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b" ", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"\x00" * 100, 400),
        (QUESTION + b"} trailing", 400),
        (QUESTION + b',"temperature":NaN}', 400),
        (QUESTION + b',"temperature":1e999}', 400),
        (QUESTION + b',"max_output_tokens":' + b"9" * 400 + b"}", 400),
        (QUESTION + b',"metadata":' + b"[" * DEEP + b"]" * DEEP + b"}", 400),
        (b'{"model":"m","input":' + b"[" * DEEP + b"]" * DEEP + b"}", 400),
        (b'{"model":"m","input":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", 400),
        (b'{"model":"m","input":"a","tools":' + b'[{"a":' * 5000 + b"1" + b"}]" * 5000 + b"}", 400),
        (b'{"model":"m","model":"m","input":"hi"}', 200),
        (b'{"model":"m","input":"\\ud800"}', 400),
        (b'{"model":"m","input":"\\u0000 \\u202e"}', 200),
        (b'{"model":"m","input":"' + b"a" * (5 * MIB) + b'"}', 200),
    ],
    ids=lambda value: f"{value[:24]!r} {len(value)} bytes" if isinstance(value, bytes) else str(value),
)
def test_odd_bodies(http: httpx.Client, body: bytes, status: int) -> None:
    began = time.monotonic()
    answer = http.post("/responses", content=body, headers=HEADERS)
    assert answer.status_code == status, answer.text[:300]
    if status >= 400:
        assert answer.json()["error"]["message"]
        assert len(answer.content) < 2000
    assert time.monotonic() - began < 10
    assert http.get("/models").status_code == 200


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_fifty_megabytes_are_refused(http: httpx.Client, declared: bool) -> None:
    content = b" " * (50 * MIB) if declared else spread(50 * MIB)
    try:
        answer = http.post("/responses", content=content, headers=HEADERS)
    except httpx.WriteError:  # it was told, and hung up upon, before it had said all
        assert declared
    else:
        assert answer.status_code == 413
        assert "33554432" in answer.text.replace(",", "")
    assert http.get("/models").status_code == 200


async def test_slow_clients_keep_nobody_waiting(gateway: Gateway) -> None:
    """Heads that never end, and bodies: everyone else is answered as ever."""
    slow = []
    for number in range(300):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = b"POST /v1/responses HTTP/1.1\r\nhost: h\r\n"
        writer.write(head if number % 2 else head + b"content-length: 1000\r\n\r\n{")
        slow.append((reader, writer))
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=5) as client:
        for _ in range(10):
            answer = await client.post("/responses", json={"model": "m", "input": "hi"})
            assert answer.status_code == 200
    for _, writer in slow:
        writer.transport.abort()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /v1/models HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: h\r\n" + b"x-a: b\r\n" * 20_000 + b"\r\n",
        b"POST /v1/responses HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/responses HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/responses HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/responses/%00%ff%0d%0a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        b"GET /v1/../../etc/passwd HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    ],
    ids=["version", "TLS", "long path", "many headers", "negative", "smuggled", "bad chunk", "bad path", "dots"],
)
def test_odd_requests(gateway: Gateway, http: httpx.Client, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as connection:
        connection.sendall(request_bytes)
        connection.settimeout(3)
        try:
            answer = connection.recv(65536)
        except (TimeoutError, ConnectionResetError):
            answer = b""
    assert b" 500 " not in answer.partition(b"\r\n")[0]
    assert b"root:" not in answer
    assert http.get("/models").status_code == 200
