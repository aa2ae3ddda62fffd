"""The ceiling: the least an ASGI application can do under the same server, and the same plus one Redis GET."""

from __future__ import annotations

import os
from typing import Any

import redis.asyncio


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _say(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _say(send, b"hello")


_redis = redis.asyncio.Redis(port=int(os.environ.get("BENCH_REDIS_PORT", "6379")), max_connections=64)


async def hello_redis(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _redis.get("hello")
        await _say(send, b"hello")
