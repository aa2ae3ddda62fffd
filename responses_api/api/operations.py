"""For the people who run it: liveness, readiness, metrics."""

from __future__ import annotations

import asyncio
import os

import msgspec
from django.db import DatabaseError, close_old_connections, connection
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from responses_api import metrics
from responses_api.api.base import PublicView
from responses_api.api.http import Reply, Request
from responses_api.errors import ApiError


class HealthView(PublicView):
    """`GET /healthz`: the process serves."""

    async def get(self, request: Request) -> Reply:
        return Reply(b'{"status":"ok"}')


class ReadyView(PublicView):
    """`GET /readyz`: what a request needs is there; 503 names what is not."""

    async def get(self, request: Request) -> Reply:
        store, database = await asyncio.gather(_check_store(request), asyncio.to_thread(_check_database))
        checks = {"store": store, "database": database}
        ready = all(state == "ok" for state in checks.values())
        body = {"status": "ok" if ready else "unavailable", "checks": checks}
        return Reply(msgspec.json.encode(body), 200 if ready else 503)


class MetricsView(PublicView):
    """`GET /metrics`, in Prometheus' text format; all web processes together where they share a directory."""

    async def get(self, request: Request) -> Reply:
        body = await asyncio.to_thread(_collect)
        return Reply(body, headers=((b"content-type", CONTENT_TYPE_LATEST.encode()),))


async def _check_store(request: Request) -> str:
    try:
        await request.runtime.store.ping()
    except ApiError as error:
        return error.message
    return "ok"


def _check_database() -> str:
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        close_old_connections()
    return "ok"


def _collect() -> bytes:
    metrics.hand_over()
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
