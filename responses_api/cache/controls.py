"""What a request says about the cache: `Cache-Control` (RFC 9111, RFC 5861) and the gateway's own headers. Pure.

`x-cache-*` and their `x-bf-cache-*` aliases win over `Cache-Control` where both speak, since browsers send `no-cache`
of their own accord. What cannot be read is ignored, and named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf
from typing import Any

HEADERS = tuple(
    name.encode()
    for name in (
        "cache-control",
        "x-cache-key",
        "x-cache-ttl",
        "x-cache-no-store",
        "x-cache-tags",
        "x-cache-replay",
        "x-bf-cache-key",
        "x-bf-cache-ttl",
        "x-bf-cache-no-store",
        "x-bf-cache-type",
        "x-bf-cache-threshold",
    )
)
_NAMES = frozenset(HEADERS)
MAX_NAMESPACE_CHARS = 256
MAX_TAGS = 16
_TAG = re.compile(r"[!-+\--~]{1,64}\Z")
_TTL = re.compile(r"([0-9]{1,9})(s|m|h|d)?\Z")
_UNITS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SECONDS = re.compile(r"[0-9]{1,9}\Z")


@dataclass(frozen=True, slots=True)
class Controls:
    """Times in seconds. None: not said; `ignored` names what could not be read."""

    namespace: str | None = None
    ttl: int | None = None
    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int = 0
    max_stale: float = 0
    stale_while_revalidate: int = 0
    stale_if_error: int = 0
    tags: tuple[str, ...] = ()
    timed: bool = False
    """Replay a stream with the pauses that it had."""
    ignored: tuple[str, ...] = field(default=())


NONE = Controls()


def read_controls(headers: Mapping[bytes, bytes]) -> Controls:
    """Of a request's headers, by lower-case name."""
    if _NAMES.isdisjoint(headers):
        return NONE
    return _read(tuple(map(headers.get, HEADERS)))


@lru_cache(maxsize=1024)
def _read(values: tuple[bytes | None, ...]) -> Controls:
    given = {
        name.decode(): value.decode("latin-1").strip()
        for name, value in zip(HEADERS, values, strict=True)
        if value is not None
    }
    found: dict[str, Any] = {}
    ignored: list[str] = []
    for directive in given.pop("cache-control", "").split(","):
        _read_directive(directive.strip().lower(), found, ignored)
    for name, value in given.items():
        # Ours before Bifrost's, whichever order they came in.
        if name.startswith("x-bf-") and name.replace("x-bf-", "x-", 1) in given:
            continue
        _read_header(name, value, found, ignored)
    if "ttl" in found:
        # It says how old an answer may get: a browser's reload does not know better.
        found.pop("no_cache", None)
        found.pop("max_age", None)
    return replace(NONE, **found, ignored=tuple(ignored))


def _read_directive(directive: str, found: dict[str, Any], ignored: list[str]) -> None:
    name, _, value = directive.partition("=")
    value = value.strip('"')
    if name in ("no-cache", "no-store", "only-if-cached") and not value:
        found[name.replace("-", "_")] = True
    elif name == "max-stale" and not value:
        found["max_stale"] = inf
    elif name in ("max-age", "max-stale", "min-fresh", "stale-while-revalidate", "stale-if-error"):
        if _SECONDS.match(value):
            found[name.replace("-", "_")] = int(value)
        else:
            ignored.append(name)
    # Others are for proxies that we are not (RFC 9111, 5.2: unknown directives are ignored).


def _read_header(name: str, value: str, found: dict[str, Any], ignored: list[str]) -> None:
    kind = name.rpartition("-cache-")[2]
    read = _READERS[kind](value)
    if read is None:
        ignored.append(name)
    else:
        found.update(read)


def _read_key(value: str) -> dict[str, Any] | None:
    if not 1 <= len(value) <= MAX_NAMESPACE_CHARS or not value.isprintable():
        return None
    return {"namespace": value}


def _read_ttl(value: str) -> dict[str, Any] | None:
    match = _TTL.match(value)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    return {"ttl": seconds} if seconds else None


def _read_no_store(value: str) -> dict[str, Any] | None:
    truth = {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
    return None if truth is None else {"no_store": truth}


def _read_tags(value: str) -> dict[str, Any] | None:
    tags = tuple(dict.fromkeys(tag.strip() for tag in value.split(",") if tag.strip()))
    if len(tags) > MAX_TAGS or not all(_TAG.match(tag) for tag in tags):
        return None
    return {"tags": tags}


def _read_replay(value: str) -> dict[str, Any] | None:
    return {"timed": value == "timed"} if value in ("timed", "instant") else None


def _read_type(value: str) -> dict[str, Any] | None:
    # Bifrost's other type, `semantic`, is not here: the request is matched exactly, and told so.
    return {} if value == "direct" else None


def _read_threshold(value: str) -> dict[str, Any] | None:
    return None


_READERS: dict[str, Callable[[str], dict[str, Any] | None]] = {
    "key": _read_key,
    "ttl": _read_ttl,
    "no-store": _read_no_store,
    "tags": _read_tags,
    "replay": _read_replay,
    "type": _read_type,
    "threshold": _read_threshold,
}
