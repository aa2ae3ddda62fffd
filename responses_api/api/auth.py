"""Bearer key → project. Looked up in SQL in a thread, then remembered for seconds: 2 µs a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.conf import settings
from rest_framework.authentication import BaseAuthentication

from responses_api import api_keys
from responses_api.api.http import Request
from responses_api.api.principal import ANONYMOUS, Principal
from responses_api.errors import Unauthorized

K = TypeVar("K")
V = TypeVar("V")

REMEMBER_SECONDS = 5.0
MAX_REMEMBERED = 10_000


class Remembered(Generic[K, V]):
    """Answers of a blocking function, kept `REMEMBER_SECONDS`; a revoked key works no longer than that.

    Concurrent questions for one key ask once.
    """

    def __init__(self, ask: Callable[[K], V]) -> None:
        self._ask = ask
        self._answers: dict[K, tuple[float, V]] = {}
        self._asking: dict[K, asyncio.Future[V]] = {}

    async def get(self, key: K) -> V:
        answer = self._answers.get(key)
        if answer is not None and answer[0] > time.monotonic():
            return answer[1]
        pending = self._asking.get(key)
        if pending is None:
            pending = self._asking[key] = asyncio.ensure_future(asyncio.to_thread(self._ask, key))
            pending.add_done_callback(lambda _: self._asking.pop(key, None))
        value = await asyncio.shield(pending)
        if len(self._answers) >= MAX_REMEMBERED:
            self._answers.clear()
        self._answers[key] = (time.monotonic() + REMEMBER_SECONDS, value)
        return value

    def forget(self) -> None:
        self._answers.clear()


def _find(secret: str) -> Principal | None:
    found = api_keys.find_principal(secret)
    return None if found is None else Principal(found.project, found.key_id)


keys: Remembered[str, Principal | None] = Remembered(_find)
any_key: Remembered[None, bool] = Remembered(lambda _: api_keys.any_key_exists())


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer rr-…`. Without one: allowed on loopback while no key was ever made, or if settings say so."""

    async def authenticate(self, request: Request) -> Principal:  # type: ignore[override]
        authorization = request.headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, secret = authorization.partition(" ")
        if await _is_open(request.scope):
            # SDKs insist on sending some key, also to a gateway that asks for none.
            known = await keys.get(secret.strip()) if secret.startswith(api_keys.SECRET_PREFIX) else None
            return known or ANONYMOUS
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthorized(
                "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'; "
                "an operator makes one with 'manage.py create_api_key'."
            )
        principal = await keys.get(secret.strip())
        if principal is None:
            raise Unauthorized(f"Incorrect API key provided: {_masked(secret.strip())}.")
        return principal

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


async def _is_open(scope: dict[str, Any]) -> bool:
    if settings.ROUTER_ALLOW_ANONYMOUS:
        return True
    return _is_loopback(scope) and not await any_key.get(None)


def _is_loopback(scope: dict[str, Any]) -> bool:
    """Did the request arrive on a loopback address (or a UNIX socket) of this machine?"""
    server = scope.get("server")
    return server is None or server[1] is None or server[0].startswith("127.") or server[0] == "::1"


def _masked(secret: str) -> str:
    return f"{secret[:6]}…{secret[-4:]}" if len(secret) > 16 else "…"
