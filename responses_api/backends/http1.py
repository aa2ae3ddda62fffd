"""A small HTTP/1.1 client for the one thing the data path does: POST JSON, read the answer as it comes.

aiohttp costs about 95 µs of CPU for such a call and this about 30; nothing general is attempted (no redirects, no
cookies, no compression, no proxies). Parsing is httptools', as in the server.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import httptools

# Beyond this much unread answer the backend has to wait for its reader.
HIGH_WATER_BYTES = 256 * 1024
MAX_HEADER_BYTES = 64 * 1024


class Origin(NamedTuple):
    """Where connections go, and what they can be reused for."""

    host: str
    port: int
    tls: bool


class BrokenConnection(Exception):
    """The connection ended before the answer did. `unanswered`: not even its first byte had come."""

    def __init__(self, reason: str, *, unanswered: bool) -> None:
        super().__init__(reason)
        self.unanswered = unanswered


@dataclass(slots=True)
class AnswerHead:
    """Status and headers, names in lower case; of a repeated header the last."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Connection(asyncio.Protocol):
    """One connection, one call at a time: `send`, `read_head`, then `read` until it gives nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[None] | None = None
        self._packets: deque[bytes] = deque()
        self._buffered = 0
        self._is_paused = False
        self.is_lost = False
        self.was_used = False
        self.idle_since = 0.0
        self._reason = ""
        self._reset()

    # -- for the caller ------------------------------------------------------------------------------------------

    def send(self, request: bytes) -> None:
        self._reset()
        self._transport.write(request)

    async def read_head(self) -> AnswerHead:
        """Raises `BrokenConnection`."""
        while not self._has_head:
            await self._wait()
        return self._head

    async def read(self) -> bytes:
        """What has come of the body, at least a byte; empty at its end. Raises `BrokenConnection`."""
        while not self._packets:
            if self._is_whole:
                return b""
            await self._wait()
        packet = self._packets.popleft() if len(self._packets) == 1 else b"".join(self._packets)
        self._packets.clear()
        self._buffered = 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return packet

    @property
    def is_reusable(self) -> bool:
        """Is the answer whole, and may another request follow?"""
        return self._is_whole and self._keep_alive and not self.is_lost and not self._transport.is_closing()

    def close(self) -> None:
        self._transport.abort()

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's in all but ancestry.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._has_bytes = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"it does not speak HTTP: {error}")
        self._wake()

    def eof_received(self) -> None:
        if self._has_head and self._ends_with_connection:
            self._is_whole = True

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        if not self._is_whole:
            self._reason = self._reason or (str(error) if error else "it closed the connection")
        self._wake()

    # -- httptools -----------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._fail("its headers are too large")
        self._head.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # 1xx: the answer proper follows
            self._head = AnswerHead()
            return
        self._head.status = status
        self._keep_alive = self._parser.should_keep_alive()
        headers = self._head.headers
        self._ends_with_connection = "content-length" not in headers and "transfer-encoding" not in headers
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        self._packets.append(body)
        self._buffered += len(body)
        if self._buffered > HIGH_WATER_BYTES and not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._is_whole = self._has_head

    # -- inside --------------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head = AnswerHead()
        self._header_bytes = 0
        self._has_bytes = False
        self._has_head = False
        self._is_whole = False
        self._keep_alive = False
        self._ends_with_connection = False
        self._reason = ""

    async def _wait(self) -> None:
        if self._reason or self.is_lost:
            raise BrokenConnection(self._reason, unanswered=not self._has_bytes)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, reason: str) -> None:
        self._reason = reason
        self._transport.abort()


class ConnectionPool:
    """Idle connections by origin; as many as are needed at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, keep_alive_seconds: float) -> None:
        self._loop = loop
        self._keep_alive_seconds = keep_alive_seconds
        self._idle: dict[Origin, deque[Connection]] = {}
        self._tls: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def acquire(self, origin: Origin, connect_timeout: float) -> Connection:
        """A kept connection, else a new one. Raises `OSError`, `TimeoutError` after `connect_timeout` seconds."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_reusable:
                connection.was_used = True
                return connection
            connection.close()
        return await self.connect(origin, connect_timeout)

    async def connect(self, origin: Origin, connect_timeout: float) -> Connection:
        tls = self._tls_context() if origin.tls else None
        async with asyncio.timeout(connect_timeout):
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._loop),
                origin.host,
                origin.port,
                ssl=tls,
                server_hostname=origin.host if tls else None,
            )
        return connection

    def release(self, origin: Origin, connection: Connection) -> None:
        """Keeps a connection whose answer was read to its end; closes any other, which tells the backend to stop."""
        if not connection.is_reusable:
            connection.close()
            return
        connection.idle_since = self._loop.time()
        self._idle.setdefault(origin, deque()).append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._keep_alive_seconds / 2, self._drop_old)

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()

    def _drop_old(self) -> None:
        oldest = self._loop.time() - self._keep_alive_seconds / 2
        for idle in self._idle.values():
            while idle and (idle[0].idle_since <= oldest or idle[0].is_lost):
                idle.popleft().close()
        is_empty = not any(self._idle.values())
        self._sweep = None if is_empty else self._loop.call_later(self._keep_alive_seconds / 2, self._drop_old)

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
