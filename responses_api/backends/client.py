"""The data path to backends.

A backend's failure becomes the `ApiError` that its client should see. Leaving a call early closes its connection, which
is how a backend learns that nobody waits any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from math import inf
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit

from responses_api import metrics
from responses_api.backends.failures import from_status, not_json
from responses_api.backends.fleet import Fleet
from responses_api.backends.http1 import AnswerHead, BrokenConnection, Connection, ConnectionPool, Origin
from responses_api.backends.registry import Endpoint
from responses_api.errors import ApiError, BackendError, BackendTimeout, BackendUnavailable, DeadlinePassed
from responses_api.patience import LOOK_SECONDS, Patience

MAX_ANSWER_BYTES = 64 * 1024 * 1024
# vLLM's server closes idle connections after 5 s: we do so first, or the next request meets a closing one.
KEEP_ALIVE_SECONDS = 4


class _Target(NamedTuple):
    """What is the same for every call to an endpoint."""

    origin: Origin
    head: bytes
    """The request's head up to the value of `content-length`."""


class BackendClient:
    """Build it on the event loop that uses it; `aclose` when done."""

    def __init__(self, fleet: Fleet) -> None:
        """`fleet` hears how each call goes."""
        loop = asyncio.get_running_loop()
        self._fleet = fleet
        self._pool = ConnectionPool(loop, KEEP_ALIVE_SECONDS)
        self._patience = Patience(loop)
        self._targets: dict[tuple[str, str, str, str], _Target] = {}

    def call(self, endpoint: Endpoint, path: str, body: bytes, deadline: float = inf) -> Call:
        """`POST {path}`, as an async context manager: within it the answer has begun with status 200.

        `deadline`, on `time.perf_counter()`'s clock, is the client's: the call is over by then.
        """
        identity = (endpoint.name, endpoint.base_url, endpoint.api_key, path)
        target = self._targets.get(identity)
        if target is None:
            target = self._targets[identity] = _target(endpoint, path)
        return Call(self._fleet, self._pool, self._patience, endpoint, target, body, deadline)

    async def aclose(self) -> None:
        self._patience.close()
        self._pool.close()


class Call:
    """One call to an endpoint. Entering, reading and iterating raise `ApiError`."""

    def __init__(
        self,
        fleet: Fleet,
        pool: ConnectionPool,
        patience: Patience,
        endpoint: Endpoint,
        target: _Target,
        body: bytes,
        deadline: float,
    ) -> None:
        self._fleet = fleet
        self._deadline = deadline
        self._began_at = 0.0
        self._first_byte_seconds: float | None = None
        self._failure: ApiError | None = None
        """Of an answer that had begun."""
        self._pool = pool
        self._patience = patience
        self._endpoint = endpoint
        self._target = target
        self._request = b"%b%d\r\n\r\n%b" % (target.head, len(body), body)
        self._connection: Connection | None = None
        self._head = AnswerHead()

    async def open(self) -> Call:
        """Sends the request; returns when the answer has begun with status 200. Leave it by `async with`."""
        self._began_at = time.perf_counter()
        self._wait = self._patience.begin(self._at_most(self._endpoint.timeouts.first_byte_timeout))
        self._fleet.begin(self._endpoint)
        try:
            self._connection, self._head = await self._open()
            self._first_byte_seconds = time.perf_counter() - self._began_at
            if self._head.status != 200:
                raise from_status(self._endpoint.name, self._head.status, self._head.headers, await self._read())
        except BaseException as error:
            self._end(error)
            raise
        return self

    async def __aenter__(self) -> Call:
        return self if self._connection is not None else await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    async def read_json(self) -> bytes:
        """The whole answer, which says that it is JSON."""
        data = await self._read()
        if "json" not in self._head.content_type:
            raise not_json(self._endpoint.name, 200, self._head.content_type, data)
        return data

    async def open_stream(self) -> Call:
        """`open` for an answer that is to be an event stream, else a `BackendError`."""
        await self.open()
        if self._head.content_type == "text/event-stream":
            return self
        try:
            raise not_json(self._endpoint.name, 200, self._head.content_type, await self._read())
        except BaseException as error:
            self._end(error)
            raise

    @property
    def content_type(self) -> str:
        return self._head.content_type

    async def packets(self) -> AsyncIterator[bytes]:
        """A streamed answer as it comes."""
        while packet := await self._next_packet():
            yield packet

    async def _open(self) -> tuple[Connection, AnswerHead]:
        """Sends the request and waits for the answer's head."""
        name, timeouts = self._endpoint.name, self._endpoint.timeouts
        try:
            connection = await self._pool.acquire(self._target.origin, timeouts.connect_timeout)
            try:
                return connection, await self._exchange(connection)
            except BrokenConnection as error:
                if not (error.unanswered and connection.was_used):
                    raise
            # A kept connection that the server was just closing: it never read the request.
            connection = await self._pool.connect(self._target.origin, timeouts.connect_timeout)
            return connection, await self._exchange(connection)
        except TimeoutError as error:
            raise BackendTimeout(
                f"Backend '{name}' did not accept a connection within {timeouts.connect_timeout:g} s (connect_timeout)."
            ) from error
        except OSError as error:
            raise BackendUnavailable(
                f"Backend '{name}' cannot be reached: {error.strerror or 'connection failed'}."
            ) from error
        except BrokenConnection as error:
            raise BackendError(f"Backend '{name}' broke the connection before it answered: {error}.") from error
        except asyncio.CancelledError:
            if not self._wait.was_timeout():
                raise
            raise self._too_late(
                f"did not begin to answer within {timeouts.first_byte_timeout:g} s (first_byte_timeout)"
            ) from None

    async def _exchange(self, connection: Connection) -> AnswerHead:
        try:
            connection.send(self._request)
            return await connection.read_head()
        except BaseException:
            connection.close()
            raise

    async def _read(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while packet := await self._next_packet():
            size += len(packet)
            if size > MAX_ANSWER_BYTES:
                raise BackendError(f"Backend '{self._endpoint.name}' sent more than {MAX_ANSWER_BYTES} bytes.")
            chunks.append(packet)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _next_packet(self) -> bytes:
        """What has come, at least a byte; empty at the end."""
        assert self._connection is not None  # noqa: S101 - set on entering
        idle_timeout = self._endpoint.timeouts.idle_timeout
        self._wait.extend(idle_timeout if self._deadline == inf else self._at_most(idle_timeout))
        try:
            packet = await self._connection.read()
        except BrokenConnection as error:
            self._failure = BackendError(f"Backend '{self._endpoint.name}' broke off its answer: {error}.")
            raise self._failure from error
        except asyncio.CancelledError:
            if not self._wait.was_timeout():
                raise
            self._failure = self._too_late(f"fell silent for {idle_timeout:g} s (idle_timeout)")
            raise self._failure from None
        self._wait.pause()
        return packet

    def _at_most(self, seconds: float) -> float:
        """Of them, those that the client leaves. Raises `DeadlinePassed` where it leaves none."""
        if self._deadline == inf:
            return seconds
        left = self._deadline - time.perf_counter()
        if left <= 0:
            raise DeadlinePassed
        return min(seconds, left)

    def _too_late(self, how: str) -> ApiError:
        # Its clock is looked at four times a second.
        if time.perf_counter() > self._deadline - LOOK_SECONDS:
            return DeadlinePassed()
        return BackendTimeout(f"Backend '{self._endpoint.name}' {how}.")

    def _end(self, error: BaseException | None) -> None:
        self._patience.end(self._wait)
        self._fleet.end(self._endpoint, error or self._failure, self._first_byte_seconds)
        if self._connection is not None:
            self._pool.release(self._target.origin, self._connection)
        outcome = "ok"
        if error is not None:
            outcome = str(error.status) if isinstance(error, ApiError) else "cancelled"
        metrics.of(metrics.BACKEND_CALLS, self._endpoint.name, outcome).inc()


def _target(endpoint: Endpoint, path: str) -> _Target:
    url = urlsplit(f"{endpoint.base_url}{path}")
    tls = url.scheme == "https"
    headers = {
        "host": url.netloc.rpartition("@")[2],
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "user-agent": "responses-router",
    }
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    headers |= {name.lower(): value for name, value in endpoint.headers.items()}
    lines = [
        f"POST {url.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
        "content-length: ",
    ]
    return _Target(
        Origin(url.hostname or "", url.port or (443 if tls else 80), tls),
        "\r\n".join(lines).encode("latin-1"),
    )
