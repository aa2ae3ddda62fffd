"""What a client is told of the cache: `Cache-Status` (RFC 9211), `Age`, and the short `x-cache`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from responses_api.cache.policy import Judgement, Verdict

NAME = "responses-router"

Header = tuple[bytes, bytes]
_FORWARDED = {"expired": "stale", "min-fresh": "stale", "no-cache": "request", "max-age": "stale"}


def headers_of(
    judgement: Judgement,
    *,
    age: float = 0,
    ttl: float = 0,
    entry_id: str = "",
    is_stored: bool = False,
    ignored: Sequence[str] = (),
) -> list[Header]:
    """`age` and `ttl` (its whole life) in seconds, of the entry; `ignored` are headers that could not be read."""
    verdict = judgement.verdict
    status = [NAME]
    detail = ""
    told: list[Header] = []
    if verdict in (Verdict.HIT, Verdict.STALE):
        status += ["hit", f"ttl={int(ttl - age)}"]
        detail = judgement.reason if verdict is Verdict.STALE else ""
        told.append((b"age", b"%d" % max(0, int(age))))
    elif verdict is Verdict.COLLAPSED:
        status += ["fwd=miss", "collapsed"]
    elif verdict is Verdict.BYPASS:
        status.append("fwd=bypass")
        detail = judgement.reason
    else:
        status.append(f"fwd={_FORWARDED.get(judgement.reason, 'miss')}")
        detail = "" if judgement.reason == "unknown" else judgement.reason
        if is_stored:
            status.append("stored")
    if ignored:
        detail = f"{detail}, ignored: {' '.join(ignored)}" if detail else f"ignored: {' '.join(ignored)}"
    if detail:
        status.append(f'detail="{detail}"')
    told += [(b"cache-status", "; ".join(status).encode()), (b"x-cache", verdict.value.upper().encode())]
    if entry_id:
        told.append((b"x-cache-entry", entry_id.encode()))
    return told


@lru_cache(maxsize=1024)
def bypass_headers(reason: str, ignored: tuple[str, ...]) -> list[Header]:
    """For a request that had nothing to do with the cache; not to be changed."""
    return headers_of(Judgement(Verdict.BYPASS, reason), ignored=ignored)
