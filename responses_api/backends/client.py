"""The data path to backends: pooled HTTP over aiohttp (94 µs of CPU a call at 64 at once; httpx: 6,500 µs).

A backend's failure becomes the `ApiError` that its client should see. Cancelling a call closes its connection, which is
how a backend learns that nobody waits any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

import aiohttp
from yarl import URL

from responses_api import metrics
from responses_api.backends.failures import from_status, not_json
from responses_api.backends.registry import Endpoint
from responses_api.errors import ApiError, BackendError, BackendTimeout, BackendUnavailable

MAX_ANSWER_BYTES = 64 * 1024 * 1024
# vLLM's server closes idle connections after 5 s: we do so first, or the next request meets a closing one.
KEEP_ALIVE_SECONDS = 4


class BackendClient:
    """One per event loop; `aclose` when done."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            raise_for_status=False,
            read_bufsize=256 * 1024,
        )

    async def complete(self, endpoint: Endpoint, body: bytes) -> bytes:
        """`POST /chat/completions`, the whole JSON answer. Raises `ApiError`."""
        async with self._call(endpoint, body) as answer:
            data = await _read_body(endpoint, answer)
            if "json" not in answer.content_type:
                raise not_json(endpoint.name, answer.status, answer.content_type, data)
            return data

    @asynccontextmanager
    async def stream(self, endpoint: Endpoint, body: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
        """The packets of a streamed answer, as they come. Entering raises `ApiError` for all that is no stream.

        Iterating raises `BackendTimeout` after `idle_timeout` seconds of silence, `BackendError` for a broken connection.
        """
        async with self._call(endpoint, body) as answer:
            if answer.content_type != "text/event-stream":
                await _refuse_non_stream(endpoint, answer)
            yield _packets(endpoint, answer)

    async def aclose(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def _call(self, endpoint: Endpoint, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        outcome = "cancelled"
        try:
            answer = await self._open(endpoint, body)
            try:
                if answer.status != 200:
                    raise from_status(
                        endpoint.name, answer.status, answer.headers, await _read_body(endpoint, answer)
                    )
                yield answer
                outcome = "ok"
            finally:
                # Returns a finished connection to the pool, closes any other.
                answer.release() if answer.content.at_eof() else answer.close()
        except ApiError as error:
            outcome = str(error.status)
            raise
        except aiohttp.ClientError as error:
            outcome = "broken"
            raise BackendError(f"Backend '{endpoint.name}' broke the connection: {type(error).__name__}.") from error
        finally:
            metrics.BACKEND_CALLS.labels(endpoint.name, outcome).inc()

    async def _open(self, endpoint: Endpoint, body: bytes) -> aiohttp.ClientResponse:
        """Sends the request and waits for the answer's headers."""
        url, headers, timeout = _prepared(endpoint.name, endpoint.base_url, endpoint.timeouts.connect_timeout)
        if endpoint.api_key:
            headers = {**headers, "authorization": f"Bearer {endpoint.api_key}"}
        if endpoint.headers:
            headers = {**headers, **endpoint.headers}
        try:
            async with asyncio.timeout(endpoint.timeouts.first_byte_timeout):
                try:
                    return await self._session.post(
                        url, data=body, headers=headers, timeout=timeout, allow_redirects=False
                    )
                except aiohttp.ServerDisconnectedError:
                    # A kept connection that the server had just closed: it never read the request.
                    return await self._session.post(
                        url, data=body, headers=headers, timeout=timeout, allow_redirects=False
                    )
        except aiohttp.ConnectionTimeoutError as error:
            raise BackendTimeout(
                f"Backend '{endpoint.name}' did not accept a connection within "
                f"{endpoint.timeouts.connect_timeout:g} s (connect_timeout)."
            ) from error
        except TimeoutError as error:
            raise BackendTimeout(
                f"Backend '{endpoint.name}' did not begin to answer within "
                f"{endpoint.timeouts.first_byte_timeout:g} s (first_byte_timeout)."
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise BackendUnavailable(
                f"Backend '{endpoint.name}' cannot be reached: {error.os_error.strerror or 'connection failed'}."
            ) from error


@lru_cache(maxsize=1024)
def _prepared(name: str, base_url: str, connect_timeout: float) -> tuple[URL, dict[str, str], aiohttp.ClientTimeout]:
    """What is the same for every call to an endpoint: parsing it anew costs 20 µs."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
    return URL(f"{base_url}/chat/completions"), {"content-type": "application/json"}, timeout


async def _read_body(endpoint: Endpoint, answer: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for packet in _packets(endpoint, answer):
        size += len(packet)
        if size > MAX_ANSWER_BYTES:
            raise BackendError(f"Backend '{endpoint.name}' sent more than {MAX_ANSWER_BYTES} bytes.")
        chunks.append(packet)
    return b"".join(chunks)


async def _packets(endpoint: Endpoint, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    idle = _IdleTimer(endpoint.timeouts.idle_timeout, answer)
    try:
        while packet := await answer.content.readany():
            idle.touch()
            yield packet
    except (aiohttp.ClientError, ConnectionError) as error:
        if idle.expired:
            raise BackendTimeout(
                f"Backend '{endpoint.name}' fell silent for {endpoint.timeouts.idle_timeout:g} s (idle_timeout)."
            ) from error
        raise BackendError(f"Backend '{endpoint.name}' broke off its answer: {type(error).__name__}.") from error
    finally:
        idle.stop()


async def _refuse_non_stream(endpoint: Endpoint, answer: aiohttp.ClientResponse) -> None:
    body = await _read_body(endpoint, answer)
    raise not_json(endpoint.name, answer.status, answer.content_type, body)


class _IdleTimer:
    """Ends a silent answer. One timer that looks back, instead of one armed anew for every token."""

    def __init__(self, seconds: float, answer: aiohttp.ClientResponse) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._answer = answer
        self._last = self._loop.time()
        self._handle = self._loop.call_later(seconds, self._check)
        self.expired = False

    def touch(self) -> None:
        self._last = self._loop.time()

    def stop(self) -> None:
        self._handle.cancel()

    def _check(self) -> None:
        left = self._last + self._seconds - self._loop.time()
        if left > 0:
            self._handle = self._loop.call_later(left, self._check)
            return
        self.expired = True
        self._answer.close()
