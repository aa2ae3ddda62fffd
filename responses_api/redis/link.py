"""One connection to one Redis server: a batch of commands goes out, their replies come back in order.

Our own on hiredis, since redis-py's spends two coroutines on each reply and a task on each batch, several times what
Redis itself takes. It speaks RESP2.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.exceptions import AuthenticationError, InvalidResponse
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from responses_api.config.schema import RedisConfig
from responses_api.redis.scripts import KNOWN

Argument = bytes | str | int | float
Command = tuple[Argument, ...]


class Waiter(Protocol):
    """What a command's reply is given to: a future, or what stands for one."""

    def done(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


class Nobody:
    """Waits for no reply; `on_failure` hears of an error. A future and its callback cost 3 µs more."""

    __slots__ = ("_on_failure",)

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._on_failure = on_failure

    def done(self) -> bool:
        return False

    def set_result(self, result: Any, /) -> None:
        pass

    def set_exception(self, exception: BaseException, /) -> None:
        self._on_failure(exception)


Asked = tuple[Command, Waiter]
"""A command and who waits for its reply."""
Settle = Callable[[Asked, Any], None]
"""Takes a reply, or the exception there is instead."""

_INCOMPLETE = object()


def give(asked: Asked, reply: Any) -> None:
    """To whoever asked, unless they have gone. An exception is raised there."""
    waiter = asked[1]
    if waiter.done():
        return
    if isinstance(reply, BaseException):
        waiter.set_exception(reply)
    else:
        waiter.set_result(reply)


class Owner(Protocol):
    """Whose link it is."""

    def settle(self, asked: Asked, reply: Any) -> None:
        """Takes each reply; an error is one."""

    def link_idle(self, link: Link) -> None:
        """The batch has been answered."""

    def link_lost(self, link: Link, left: Sequence[Asked], error: Exception) -> None:
        """It is of no more use; `left` went without an answer."""


class Link(asyncio.Protocol):
    """A connection. One batch at a time: `send` only while `batch` is empty."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        self._settle: Settle = give
        self._error: Exception | None = None
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_INCOMPLETE
        )
        self._answered = 0
        self.owner: Owner | None = None
        self.batch: Sequence[Asked] = ()
        self.sent_at = 0.0
        """Of the batch, by the loop's clock."""
        self.is_up = False

    def belong_to(self, owner: Owner) -> None:
        """From now on `owner` is told; until then whoever asks gets plain replies."""
        self.owner, self._settle = owner, owner.settle

    def send(self, batch: Sequence[Asked]) -> None:
        self.batch, self._answered, self.sent_at = batch, 0, self._loop.time()
        self._transport.write(b"".join([_pack(command) for command, _ in batch]))

    def close(self, error: Exception | None = None) -> None:
        """What waits for replies hears of `error`, which a plain loss of the connection is without one."""
        self._error = self._error or error
        self._transport.abort()

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_up = True

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                if isinstance(reply, RedisConnectionError) and not isinstance(reply, AuthenticationError):
                    self.close(reply)  # it still loads its data, or has too many clients: as if it were not there
                    return
                asked = self.batch[self._answered]
                self._answered += 1
                self._settle(asked, reply)
        except (InvalidResponse, IndexError) as error:
            self.close(RedisConnectionError(f"not a Redis server's reply: {error}"))
            return
        if self.batch and self._answered == len(self.batch):
            self.batch = ()
            if self.owner is not None:
                self.owner.link_idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_up = False
        left, self.batch = self.batch[self._answered :], ()
        error = self._error or RedisConnectionError(f"connection lost: {exc or 'closed by the server'}")
        if self.owner is not None:
            self.owner.link_lost(self, left, error)
            return
        for asked in left:
            give(asked, error)


async def open_link(config: RedisConfig, host: str, port: int, loop: asyncio.AbstractEventLoop) -> Link:
    """A link that may be sent commands. Raises `RedisError` or `OSError`."""
    context = tls_context(config.tls_ca_path, config.tls_cert_path, config.tls_key_path) if config.tls_enabled else None
    try:
        async with asyncio.timeout(config.dial_timeout):
            _, link = await loop.create_connection(
                lambda: Link(loop), host, port, ssl=context, server_hostname=host if context else None
            )
            try:
                await _introduce(link, config, loop)
            except BaseException:
                link.close()
                raise
    except TimeoutError:
        raise RedisTimeoutError(f"{host}:{port} did not take a connection within {config.dial_timeout:g} s") from None
    return link


async def _introduce(link: Link, config: RedisConfig, loop: asyncio.AbstractEventLoop) -> None:
    commands: list[Command] = []
    if config.password:
        commands.append(("AUTH", *([config.username] if config.username else []), config.password))
    if config.db and not config.cluster_mode:
        commands.append(("SELECT", config.db))
    loads: list[Command] = [("SCRIPT", "LOAD", script.text) for script in KNOWN.values()]
    waiting = [loop.create_future() for _ in (*commands, *loads)]
    link.send(list(zip((*commands, *loads), waiting, strict=True)))
    replies = await asyncio.gather(*waiting, return_exceptions=True)
    for reply in replies[: len(commands)]:
        if isinstance(reply, BaseException):
            raise reply
    # A script that may not be loaded is sent as text when it is needed. What else is wrong shows at the next command.
    if replies and isinstance(replies[-1], RedisConnectionError):
        raise replies[-1]


def is_refusal(error: BaseException) -> bool:
    """Will the server say the same to the next attempt?"""
    return isinstance(error, AuthenticationError | ssl.SSLError)


@cache
def tls_context(ca_path: str, cert_path: str, key_path: str) -> ssl.SSLContext:
    """The server's certificate and name are always checked; the system's CAs where none is given."""
    context = ssl.create_default_context(cafile=ca_path or None)
    if cert_path:
        context.load_cert_chain(cert_path, key_path or None)
    return context


def _pack(command: Command) -> bytes:
    # In C; redis-py's packing is Python, and took a twelfth of a request.
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return packed
