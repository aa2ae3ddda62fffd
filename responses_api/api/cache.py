"""`/v1/cache`: what the cache holds and saved, why it did what it did, and purging."""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema

from responses_api.api.base import ApiView
from responses_api.api.http import Reply, Request
from responses_api.api.query import read_flag, read_integer
from responses_api.api.schema import ErrorBody
from responses_api.cache.controls import read_controls
from responses_api.cache.invalidation import Target
from responses_api.cache_control import PurgeRequest
from responses_api.shapes.request import CreateParams, parse_create_request
from responses_api.shapes.validation import decode

_Body = dict[str, Any]
MAX_DAYS = 400


class CacheEntryView(ApiView):
    """`DELETE /v1/cache/entries/{id}`."""

    @extend_schema(operation_id="deleteCacheEntry", responses={200: _Body, "default": ErrorBody})
    async def delete(self, request: Request, entry_id: str) -> Reply:
        return _reply(await request.runtime.cache_control.delete(request.project, entry_id))


class CacheKeyView(ApiView):
    """`DELETE /v1/cache/keys/{namespace}`."""

    @extend_schema(
        operation_id="purgeCacheKey",
        parameters=[OpenApiParameter("dry_run", bool, description="count, and leave everything")],
        responses={200: _Body, "default": ErrorBody},
    )
    async def delete(self, request: Request, namespace: str) -> Reply:
        control, dry_run = request.runtime.cache_control, read_flag(request, "dry_run")
        return _reply(await control.purge(request.project, Target.namespace(namespace), dry_run=dry_run))


class CachePurgeView(ApiView):
    """`POST /v1/cache/purge`."""

    @extend_schema(operation_id="purgeCache", request=PurgeRequest, responses={200: _Body, "default": ErrorBody})
    async def post(self, request: Request) -> Reply:
        wanted = decode(request.json_body(), PurgeRequest)
        target = wanted.target()
        return _reply(await request.runtime.cache_control.purge(request.project, target, dry_run=wanted.dry_run))


class CacheStatsView(ApiView):
    """`GET /v1/cache/stats`."""

    @extend_schema(
        operation_id="getCacheStats",
        parameters=[OpenApiParameter("days", int, description="how many, today included (default: 7)")],
        responses={200: _Body, "default": ErrorBody},
    )
    async def get(self, request: Request) -> Reply:
        days = read_integer(request, "days", default=7, low=1, high=MAX_DAYS)
        return _reply(await request.runtime.cache_control.stats(request.project, days))


class CacheExplainView(ApiView):
    """`POST /v1/cache/explain`: the body and headers of a create."""

    @extend_schema(operation_id="explainCache", request=CreateParams, responses={200: _Body, "default": ErrorBody})
    async def post(self, request: Request) -> Reply:
        body = request.json_body()
        create = parse_create_request(body)
        context = request.context(body)
        controls = read_controls(request.headers)
        return _reply(await request.runtime.cache_control.explain(create, context, controls))


def _reply(told: _Body) -> Reply:
    return Reply(msgspec.json.encode(told))
