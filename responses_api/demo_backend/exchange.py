"""One request and its answer over ASGI: reads the body, sends packets in time, notices a lost client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from responses_api.demo_backend.delivery import Delivery, Ending

Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# At full speed a long stream gives the other clients a turn this often.
_PACKETS_PER_TURN = 64


class ClientGoneError(Exception):
    """The client closed its connection before the answer was complete."""


class Exchange:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None
        self._pause: asyncio.Future[None] | None = None

    async def body(self) -> bytes:
        """The whole request body. Raises `ClientGoneError`."""
        message = await self._receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body"):
            message = await self._receive()
            body += message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        return body

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer at once; `headers` besides the length."""
        length = (b"content-length", str(len(body)).encode())
        await self._send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
        await self._send({"type": "http.response.body", "body": body})

    async def deliver(self, status: int, headers: Headers, delivery: Delivery, pace: float = 0) -> None:
        """The packets one by one, at `pace` packets a second, 0 for no pause. Raises `ClientGoneError`."""
        self._watch()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send_packets(delivery.packets, 1 / pace if pace else 0)
        if delivery.ending is Ending.STALL:
            await self.stall()
        if delivery.ending is Ending.CUT:
            await self.hang_up()
        else:
            await self._send({"type": "http.response.body", "body": b""})

    async def wait(self, seconds: float) -> None:
        """Raises `ClientGoneError` as soon as the client leaves."""
        self._watch()
        if self._gone:
            raise ClientGoneError
        # A future and a timer of our own: asyncio.wait over sleep and watcher costs several times as much.
        loop = asyncio.get_running_loop()
        self._pause = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._pause
        finally:
            timer.cancel()
        if self._gone:
            raise ClientGoneError

    async def stall(self) -> None:
        """Silence until the client leaves: always raises `ClientGoneError`."""
        self._watch()
        if not self._gone:
            self._pause = asyncio.get_running_loop().create_future()
            await self._pause
        raise ClientGoneError

    async def hang_up(self) -> None:
        """Closes the connection after what was sent so far, where the body is left incomplete."""
        self.close_connection()
        with contextlib.suppress(ClientGoneError):
            await self.stall()

    def close_connection(self) -> None:
        """What was sent goes out, then the connection closes, as if the client had left."""
        # ASGI has no word for it. uvicorn's `send` is a method of the object that holds the transport.
        transport: asyncio.Transport = self._send.__self__.transport  # type: ignore[attr-defined]
        transport.close()

    def finish(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    async def _send_packets(self, packets: list[bytes], interval: float) -> None:
        """Packet n is due n intervals after the first: a late one does not delay those behind it."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for nth, packet in enumerate(packets):
            if interval and (early := due - loop.time()) > 0:
                await self.wait(early)
            elif nth % _PACKETS_PER_TURN == 0:
                await asyncio.sleep(0)
            if self._gone:
                raise ClientGoneError
            due += interval
            await self._send({"type": "http.response.body", "body": packet, "more_body": True})

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._wait_until_gone())

    async def _wait_until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)
