"""Hit, miss, stale or bypass, with the reason. Pure."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from responses_api.cache.controls import Controls
from responses_api.config.schema import ResponseCacheConfig
from responses_api.shapes.request import CreateRequest
from responses_api.shapes.response import Response

OWN_TOOLS = ("function", "custom")
"""Their answers depend on the request alone; what hosted tools find changes."""


class Verdict(StrEnum):
    """Each request has exactly one."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"
    BYPASS = "bypass"
    COLLAPSED = "collapsed"

    # Enum's own is Python, and verdicts are in the keys of what is counted and told.
    __hash__ = str.__hash__


class Judgement(Struct, frozen=True):
    """What an entry is worth to a request. `is_fallback`: to be used if the backend fails."""

    verdict: Verdict
    reason: str
    revalidates: bool = False
    is_fallback: bool = False


def bypass_reason(config: ResponseCacheConfig, controls: Controls) -> str | None:
    """Why a request has nothing to do with the cache, as far as its headers tell; None: it has."""
    if not config.enabled:
        return "disabled"
    if controls.no_store:
        return "no-store"
    if config.default != "on" and controls.namespace is None:
        return "not asked for"
    return None


def unfit_request(request: CreateRequest) -> str | None:
    """Why the answer to a request could not be used again; None: it could."""
    if request.params.background:
        return "background"
    if any(tool["type"] not in OWN_TOOLS for tool in request.tools):
        return "hosted tools"
    return None


def unfit_response(response: Response) -> str | None:
    """Why an answer is not to be used again; None: it is."""
    if response.status != "completed":
        return response.status
    if response.truncated_items:
        return "truncated"
    says_something = False
    for item in response.output:
        if item["type"] == "compaction":
            return "compacted"
        says_something = says_something or _says_something(item)
    return None if says_something else "empty"


def judge(age: float, ttl: float, controls: Controls) -> Judgement:
    """An entry `age` seconds old that was given `ttl` (RFC 9111, 4.2; RFC 5861)."""
    lifetime = ttl if controls.max_age is None else min(ttl, controls.max_age)
    staleness = age - lifetime
    if staleness < 0 and ttl - age >= controls.min_fresh:
        return Judgement(Verdict.HIT, "fresh")
    if staleness < 0:
        return Judgement(Verdict.MISS, "min-fresh")
    if controls.max_stale and staleness <= controls.max_stale:
        return Judgement(Verdict.STALE, "max-stale")
    if controls.stale_while_revalidate and staleness <= controls.stale_while_revalidate:
        return Judgement(Verdict.STALE, "stale-while-revalidate", revalidates=True)
    return Judgement(Verdict.MISS, "expired", is_fallback=0 < controls.stale_if_error >= staleness)


def _says_something(item: dict[str, object]) -> bool:
    if item.get("type") != "message":
        return item.get("type") != "reasoning"
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    return any(part.get("text") or part.get("refusal") for part in parts)
