"""ASGI: the lean entry for the API, Django's own handler for the rest, and the runtime's life."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Any, TypeVar

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "router_site.settings")

import django
import structlog
from django.conf import settings
from django.core.asgi import get_asgi_application

from router_site import logs

django.setup(set_prefix=False)
logs.configure(settings.ROUTER_LOG_LEVEL)

from responses_api.api.entry import Entry, Receive, Send  # noqa: E402 - needs Django set up
from responses_api.api.websocket import SocketEntry  # noqa: E402
from responses_api.config.errors import ConfigError  # noqa: E402
from responses_api.config.load import Loaded  # noqa: E402
from responses_api.configured import loaded  # noqa: E402
from responses_api.listed_backends import read_listed  # noqa: E402
from responses_api.runtime import Runtime  # noqa: E402
from responses_api.runtime_loop import adopt  # noqa: E402
from responses_api.tasks import enqueue_filings, enqueue_runs  # noqa: E402
from router_site import celery, web_pulse  # noqa: E402, F401 - without the former tasks go to nobody's broker
from router_site.http_protocol import Answer  # noqa: E402

log = structlog.get_logger(__name__)

E = TypeVar("E")
LEAN_PATHS = ("/v1/", "/healthz", "/readyz", "/metrics")

_django = get_asgi_application()


class Application:
    """One per process; the runtime lives from lifespan startup to shutdown, on the server's event loop."""

    def __init__(self) -> None:
        self._entry: Entry | None = None
        self._sockets: SocketEntry | None = None
        self._runtime: Runtime | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"].startswith(LEAN_PATHS):
                await self._started(self._entry)(scope, receive, send)
            else:
                await _django(scope, receive, send)  # type: ignore[arg-type]
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._started(self._sockets)(scope, receive, send)

    def answer_at_once(self, scope: Any, body: bytes) -> Answer | None:
        """What can be answered without waiting; `router_site.http_protocol` asks before it begins a task."""
        return self._entry.answer_at_once(scope, body) if self._entry is not None else None

    def _started(self, entry: E | None) -> E:
        if entry is None:
            raise RuntimeError("The server did not run the ASGI lifespan; start it with --lifespan on.")
        return entry

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            configuration = loaded()
        except ConfigError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._runtime = Runtime(configuration.config, enqueue_runs, enqueue_filings, read_listed)
        _say_what_to_know(configuration, self._runtime)
        self._entry, self._sockets = Entry(self._runtime), SocketEntry(self._runtime)
        _calm_collector()
        adopt(self._runtime)
        warming = asyncio.ensure_future(self._runtime.warm_up())
        pulse = web_pulse.begin(self._runtime)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        warming.cancel()
        adopt(None)
        if pulse is not None:
            await pulse.aclose()
        await self._runtime.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def _calm_collector() -> None:
    """What was imported stays: searching it for garbage again and again takes a tenth of a busy gateway's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _say_what_to_know(configuration: Loaded, runtime: Runtime) -> None:
    """Where state goes, and what the configuration's author should know."""
    for warning in configuration.warnings:
        log.warning("configuration", warning=warning)
    api = configuration.config.response_api
    redis = api.redis
    if runtime.pool is not None:
        log.info(
            "redis",
            mode="cluster" if redis.cluster_mode else "standalone",
            nodes=len(redis.cluster_addresses) if redis.cluster_mode else 1,
            pool_size=redis.pool_size,
            tls=redis.tls_enabled,
            key_prefix=redis.key_prefix,
        )
    log.info("response_api", enabled=api.enabled, store=runtime.store.name, ttl_seconds=api.ttl_seconds)
    if not runtime.store.survives_restart:
        log.warning("store_is_volatile", store=runtime.store.name, advice="state dies with this process; use redis")


application = Application()
