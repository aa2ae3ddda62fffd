"""A whole answer in one piece, and what falls back to ASGI's two messages."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect

from router_site import http_protocol
from router_site.http_protocol import WHOLE_ANSWER, GatewayProtocol

BODY = b"x" * 3000
HEAD = b"HTTP/1.1 200 OK\r\n"
HEADERS = [(b"content-type", b"text/plain")]


class Server:
    """Answers whole; what the extension said is in `taken`."""

    def __init__(self) -> None:
        self.headers = HEADERS
        self.taken: list[bool | Exception] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http=GatewayProtocol,
            ws="websockets-sansio",
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=1,
        )
        self.server = uvicorn.Server(config)

    async def serve(self) -> None:
        await self.server.serve(sockets=[self._socket])

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._echo(receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/slow":
            await asyncio.sleep(0.05)
        try:
            self.taken.append(scope["extensions"][WHOLE_ANSWER](send, 200, self.headers, BODY))
        except ValueError as error:
            self.taken.append(error)
            raise
        if self.taken[-1] is False:
            headers = [*self.headers, (b"content-length", b"%d" % len(BODY))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": BODY})

    async def _echo(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    serving = asyncio.ensure_future(server.serve())
    while not server.server.started:  # noqa: ASYNC110 - uvicorn tells it no other way
        await asyncio.sleep(0.002)
    yield server
    server.server.should_exit = True
    await serving


async def ask(server: Server, request: bytes) -> bytes:
    """All that comes back until the server closes."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


CLOSE = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
KEEP = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


async def test_head_and_body_come_in_one_segment(server: Server) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(KEEP)
    answer = await reader.read(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 3000" in head.split(b"\r\n")
    assert b"content-type: text/plain" in head.split(b"\r\n")
    assert b"\r\nserver: uvicorn" in head
    assert b"\r\ndate: " in head
    assert body == BODY
    assert server.taken == [True]
    writer.close()


async def test_a_connection_carries_one_answer_after_the_other(server: Server) -> None:
    slow = KEEP.replace(b"GET / ", b"GET /slow ")
    answer = await ask(server, slow + KEEP + CLOSE)  # pipelined
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert answer.count(BODY) == 3
    assert server.taken == [True, True, False]


async def test_a_connection_to_be_closed_is_closed(server: Server) -> None:
    answer = await ask(server, CLOSE)
    assert answer.endswith(BODY)
    assert b"connection: close" in answer
    assert server.taken == [False]


async def test_head_has_no_body(server: Server) -> None:
    answer = await ask(server, KEEP.replace(b"GET", b"HEAD") + CLOSE)
    assert answer.count(b"content-length: 3000") == 2
    assert answer.count(BODY) == 1


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b=c", b"a\nb", b"a\rb"])
async def test_a_header_cannot_begin_another(server: Server, value: bytes) -> None:
    server.headers = [(b"x-odd", value)]
    answer = await ask(server, CLOSE.replace(b"connection: close\r\n", b"") + CLOSE)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in answer
    assert isinstance(server.taken[0], ValueError)


async def test_a_client_that_does_not_read_is_waited_for(server: Server) -> None:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(server.address)
    reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    asked = 4000  # 13 MB of answers, more than any socket's buffer
    writer.write(KEEP * asked)
    try:
        answered = -1
        while len(server.taken) != answered:
            answered = len(server.taken)
            await asyncio.sleep(0.5)
        assert 0 < answered < asked
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        seen, end = 0, b""
        while seen < asked:
            read = end + await reader.read(1_000_000)
            seen += read.count(HEAD)
            end = read[-len(HEAD) + 1 :]
        assert False in server.taken
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(http_protocol, "SILENCE_SECONDS", 0.4)


POST = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 8\r\n\r\n"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "pieces",
    [[b""], [b"GET / HT"], [POST + b"half"], [KEEP, b"GET / HT"]],
    ids=["nothing", "half a head", "half a body", "half a head after a request"],
)
async def test_a_client_that_does_not_go_on_is_let_go(server: Server, pieces: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.05)
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 4)  # to the connection's end
    writer.close()


@pytest.mark.usefixtures("impatient")
async def test_one_that_goes_on_slowly_is_waited_for(server: Server) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    for _ in range(2):
        for piece in (POST[:20], POST[20:], b"ab", b"cd", b"ef"):
            writer.write(piece)
            await asyncio.sleep(0.15)
        writer.write(b"gh")
        answer = await reader.readuntil(BODY)
        assert answer.startswith(HEAD)
        await asyncio.sleep(0.6)  # between requests it is the keep-alive that counts
    writer.close()


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(server: Server) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    for _ in range(3):
        writer.write(KEEP)
        await reader.readuntil(BODY)
        await asyncio.sleep(0.6)
    began = asyncio.get_running_loop().time()
    assert await asyncio.wait_for(reader.read(), 3) == b""
    assert asyncio.get_running_loop().time() - began < 2
    writer.close()


@pytest.mark.usefixtures("impatient")
async def test_a_websocket_may_be_silent(server: Server) -> None:
    async with connect("ws://{}:{}/".format(*server.address)) as websocket:
        for text in ("one", "two"):
            await websocket.send(text)
            assert await websocket.recv() == text
            await asyncio.sleep(1.5)  # longer than a head, a body and an idle connection may take


@pytest.mark.usefixtures("impatient")
async def test_a_head_that_drips_is_not_waited_for(server: Server) -> None:
    reader, writer = await asyncio.open_connection(*server.address)

    async def drip() -> None:
        writer.write(b"GET /")
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.1)

    dripping = asyncio.ensure_future(drip())
    try:
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 3)
    finally:
        dripping.cancel()
        writer.close()
