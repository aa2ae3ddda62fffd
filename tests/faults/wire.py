"""A TCP wire that a test can hold at a certain command, cut, and make slow."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field

REACHED_SECONDS = 20


@dataclass(slots=True)
class Hold:
    """Stops the first packet from a client that matches. `forwards`: it still arrives, and its reply is kept back."""

    pattern: re.Pattern[bytes]
    forwards: bool
    reached: threading.Event = field(default_factory=threading.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def wait(self) -> None:
        assert self.reached.wait(REACHED_SECONDS), f"nobody sent {self.pattern.pattern!r}"


class Wire:
    """From a port of its own to `upstream` on loopback, in a thread. `latency`: seconds for each packet, each way."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._hold: Hold | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.latency = 0.0
        self._is_open = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def hold(self, pattern: bytes, *, forwards: bool) -> Hold:
        """The next packet that matches waits for `release`."""
        self._hold = Hold(re.compile(pattern, re.DOTALL), forwards)
        return self._hold

    def release(self, hold: Hold) -> None:
        self._hold = None
        self._loop.call_soon_threadsafe(hold.released.set)

    def cut(self) -> None:
        """Every connection breaks, and no other is taken until `mend`."""
        self._is_open = False
        self._call(self._abort())

    def mend(self) -> None:
        self._is_open = True

    def close(self) -> None:
        self.cut()
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, operation):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(operation, self._loop).result(10)

    async def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not self._is_open:
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
            self._writers.add(back)
            replies = asyncio.Event()
            replies.set()
            await asyncio.wait(
                [
                    asyncio.ensure_future(self._ask(reader, back, replies)),
                    asyncio.ensure_future(self._answer(there, writer, replies)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            back.transport.abort()
            self._writers.discard(back)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: asyncio.Event) -> None:
        with suppress(OSError):
            while packet := await reader.read(1 << 20):
                await asyncio.sleep(self.latency)
                hold = self._hold
                if hold is not None and not hold.reached.is_set() and hold.pattern.search(packet):
                    if hold.forwards:
                        replies.clear()
                        writer.write(packet)
                    hold.reached.set()
                    await hold.released.wait()
                    await asyncio.sleep(0.02)
                    if reader.at_eof() or reader.exception() is not None:
                        return  # its sender was killed; what it had not sent is lost with it
                    replies.set()
                    if hold.forwards:
                        continue
                writer.write(packet)
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: asyncio.Event) -> None:
        with suppress(OSError):
            while packet := await reader.read(1 << 20):
                await replies.wait()
                await asyncio.sleep(self.latency)
                writer.write(packet)
                await writer.drain()
