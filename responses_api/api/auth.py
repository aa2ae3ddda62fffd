"""Bearer key → project. Looked up in SQL in a thread, then remembered for seconds: 2 µs a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog
from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication

from responses_api import api_keys
from responses_api.api.http import Request
from responses_api.api.principal import ANONYMOUS, Principal
from responses_api.errors import Unauthorized
from responses_api.models import ApiKey

K = TypeVar("K")
V = TypeVar("V")

REMEMBER_SECONDS = 4.0
RECENT_SECONDS = 1.0
"""Together: how long a key may go on working after it was revoked."""
MAX_REMEMBERED = 10_000
LAST_USE_PRECISION = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Remembered(Generic[K, V]):
    """Answers of a blocking function, kept `REMEMBER_SECONDS`.

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


class RecentPrincipals:
    """Who a header stood for a moment ago: asked again it need not be worked out."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, Any], tuple[float, Principal]] = {}

    def get(self, request: Request) -> Principal | None:
        known = self._known.get(_identity(request))
        return known[1] if known is not None and known[0] > time.monotonic() else None

    def put(self, request: Request, principal: Principal) -> None:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[_identity(request)] = (time.monotonic() + RECENT_SECONDS, principal)

    def forget(self) -> None:
        self._known.clear()


def _identity(request: Request) -> tuple[bytes, Any]:
    return request.headers.get(b"authorization", b""), request.scope.get("server")


recent = RecentPrincipals()
keys: Remembered[str, ApiKey | None] = Remembered(api_keys.find_active_key)
any_key: Remembered[None, bool] = Remembered(lambda _: api_keys.any_key_exists())
_recording: set[asyncio.Task[None]] = set()


def forget() -> None:
    """All that is remembered: the next request finds out anew."""
    for memory in (recent, keys, any_key):
        memory.forget()


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer rr-…`. Without: allowed on loopback while no key was ever made, or if settings say so."""

    async def authenticate(self, request: Request) -> Principal:  # type: ignore[override]
        principal = recent.get(request)
        if principal is None:
            principal = await self._find_out(request)
            recent.put(request, principal)
        return principal

    async def _find_out(self, request: Request) -> Principal:
        authorization = request.headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, secret = authorization.partition(" ")
        if await _is_open(request.scope):
            # SDKs insist on sending some key, also to a gateway that asks for none.
            known = await _find(secret.strip()) if secret.startswith(api_keys.SECRET_PREFIX) else None
            return known or ANONYMOUS
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthorized(
                "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'; "
                "an operator makes one with 'manage.py create_api_key'."
            )
        principal = await _find(secret.strip())
        if principal is None:
            raise Unauthorized(f"Incorrect API key provided: {_masked(secret.strip())}.")
        return principal

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


async def _find(secret: str) -> Principal | None:
    key = await keys.get(secret)
    if key is None:
        return None
    _note_use(key)
    return Principal(key.project.public_id, key.pk, key.allowances)


def _note_use(key: ApiKey) -> None:
    """Keeps `last_used_at` true to a minute, without making anyone wait for it."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > LAST_USE_PRECISION:
        key.last_used_at = now
        task = asyncio.ensure_future(asyncio.to_thread(api_keys.record_use, key.pk))
        _recording.add(task)
        task.add_done_callback(_use_recorded)


def _use_recorded(task: asyncio.Task[None]) -> None:
    _recording.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("key_use_not_recorded", reason=str(error))


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
