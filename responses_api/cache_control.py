"""What a project may ask of its cache beside answers: what it holds, what it saved, why, and to forget."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct

from responses_api.cache.controls import Controls
from responses_api.cache.counts import FIELDS, Day
from responses_api.cache.entry import Entry, digest_of, entry_id
from responses_api.cache.invalidation import Target
from responses_api.cache.key import PARTS, NotComparableError, Question
from responses_api.cache.service import ResponseCache
from responses_api.cached_responses import CachedResponses
from responses_api.config.schema import ModelConfig, Price
from responses_api.errors import CacheEntryNotFound, InvalidRequest, StoreUnavailable
from responses_api.redis.pool import CONNECTION_ERRORS
from responses_api.run import RequestContext
from responses_api.shapes.request import CreateRequest

NEAREST_OF = 200
"""How many of the entries used last are compared with a question."""


class PurgeRequest(Struct, forbid_unknown_fields=True):
    """One of `tags`, `model` and `all`."""

    tags: list[str] | None = None
    model: str | None = None
    all: bool = False
    dry_run: bool = False

    def target(self) -> Target:
        """Raises `InvalidRequest`."""
        if sum((bool(self.tags), self.model is not None, self.all)) != 1:
            raise InvalidRequest("Say what to purge: one of 'tags', 'model' and 'all'.", code="invalid_value")
        if self.tags:
            return Target.tags(tuple(self.tags))
        return Target.everything() if self.model is None else Target.model(self.model)


class CacheControl:
    """One per event loop. Every method raises `ApiError`."""

    def __init__(
        self, cached: CachedResponses, cache: ResponseCache | None, model_config: Mapping[str, ModelConfig]
    ) -> None:
        self._cached = cached
        self._cache = cache
        self._model_config = model_config

    async def purge(self, project: str, target: Target, *, dry_run: bool) -> dict[str, Any]:
        """What went, or would go; out of use in every process when this returns."""
        async with self._reachable() as cache:
            purged = await cache.invalidation.purge(project, target, dry_run=dry_run)
        return {"object": "cache.purge", "dry_run": dry_run, "entries": purged.entries, "bytes": purged.bytes}

    async def delete(self, project: str, identity: str) -> dict[str, Any]:
        """One entry, by the id that answers carry in `x-cache-entry`."""
        digest = digest_of(identity)
        async with self._reachable() as cache:
            if digest is None or not await cache.invalidation.remove(project, digest):
                raise CacheEntryNotFound(identity)
        return {"id": identity, "object": "cache.entry.deleted", "deleted": True}

    async def stats(self, project: str, days: int) -> dict[str, Any]:
        """Counts and savings of the last days, and what is held now."""
        async with self._reachable() as cache:
            number, size = await cache.counts.sizes(project)
            read = await cache.counts.read(project, days)
        return {
            "object": "cache.stats",
            "entries": number,
            "bytes": size,
            "max_bytes": cache.config.max_bytes_per_project,
            "days": [_told(day, self._price(day.model)) for day in read],
        }

    def _price(self, model: str) -> Price | None:
        config = self._model_config.get(model)
        return config.price if config is not None else None

    async def explain(self, request: CreateRequest, context: RequestContext, controls: Controls) -> dict[str, Any]:
        """What the cache would do with a create, and why; no backend is asked."""
        told: dict[str, Any] = {"object": "cache.explanation", "cacheable": False, "ignored": list(controls.ignored)}
        run = await self._cached.engine.check(request, context)
        reason = self._cached.bypass_reason(request, controls)
        if reason is not None:
            return told | {"reason": reason}
        try:
            question = self._cached.question_of(run, controls)
        except NotComparableError as error:
            return told | {"reason": str(error)}
        async with self._reachable() as cache:
            entry = await cache.invalidation.read(question.digest)
            is_there = entry is not None and entry.canonical == question.canonical
            recent = [] if is_there else await cache.invalidation.recent(context.project, NEAREST_OF)
        return told | {
            "cacheable": True,
            "reason": None,
            "key": entry_id(question.digest),
            "entry": _described(entry) if entry is not None and is_there else None,
            "nearest": _nearest(question, recent),
        }

    @asynccontextmanager
    async def _reachable(self) -> AsyncIterator[ResponseCache]:
        if self._cache is None:
            raise InvalidRequest("There is no cache here: it needs a Redis.", code="no_cache")
        try:
            yield self._cache
        except CONNECTION_ERRORS as error:
            raise StoreUnavailable(f"redis: {type(error).__name__}") from error


def _told(day: Day, price: Price | None) -> dict[str, Any]:
    counts = {name: day.counts.get(name, 0) for name in FIELDS}
    asked = counts["hit"] + counts["stale"] + counts["collapsed"] + counts["miss"]
    ratio = round((asked - counts["miss"]) / asked, 4) if asked else None
    return {
        "date": day.date,
        "model": day.model,
        **counts,
        "saved_money": saved_money(counts, price),
        "hit_ratio": ratio,
    }


def saved_money(counts: Mapping[str, int], price: Price | None) -> float | None:
    """What the tokens saved would have cost; None where the model has no price."""
    if price is None:
        return None
    return price.micros(counts.get("saved_input_tokens", 0), counts.get("saved_output_tokens", 0)) / 1e6


def _described(entry: Entry) -> dict[str, Any]:
    recording = entry.recording
    return {
        "id": entry.id,
        "created_at": int(entry.created_at),
        "ttl_seconds": entry.ttl,
        "model": entry.model,
        "namespace": entry.namespace or None,
        "tags": entry.tags,
        "backend": recording.backend,
        "bytes": entry.size,
        "is_stream": bool(recording.frames),
    }


def _nearest(question: Question, entries: list[Entry]) -> dict[str, Any] | None:
    """Of some entries the one that differs in the fewest places, and in which."""
    asked = msgspec.json.decode(question.canonical)
    compared = [(_differences(asked, msgspec.json.decode(entry.canonical)), entry) for entry in entries]
    if not compared:
        return None
    differences, entry = min(compared, key=lambda each: len(each[0]))
    return {**_described(entry), "differs_in": differences}


def _differences(one: list[Any], two: list[Any]) -> list[str]:
    found = [name for name, a, b in zip(PARTS, one, two, strict=True) if name != "fields" and a != b]
    fields_one, fields_two = one[PARTS.index("fields")], two[PARTS.index("fields")]
    return found + sorted(
        name for name in fields_one.keys() | fields_two.keys() if fields_one.get(name) != fields_two.get(name)
    )
