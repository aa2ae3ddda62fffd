"""What a client is told of the cache: `Cache-Status` (RFC 9211), `Age`, and the short `x-cache`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from responses_api.cache.policy import Judgement, Verdict

NAME = "responses-router"

Header = tuple[bytes, bytes]
_FORWARDED = {"expired": "stale", "min-fresh": "stale", "no-cache": "request", "max-age": "stale"}


def given_headers(judgement: Judgement, age: float, ttl: float, entry_id: str, ignored: Sequence[str]) -> list[Header]:
    """For what an entry answered; `age` and `ttl`, its whole life, in seconds."""
    details = [judgement.reason] if judgement.verdict is Verdict.STALE else []
    status = _status(("hit", f"ttl={int(ttl - age)}"), details, ignored)
    return [
        (b"age", b"%d" % max(0, int(age))),
        (b"cache-status", status),
        (b"x-cache", judgement.verdict.upper().encode()),
        (b"x-cache-entry", entry_id.encode()),
    ]


@lru_cache(maxsize=4096)
def asked_headers(judgement: Judgement, is_stored: bool, ignored: tuple[str, ...]) -> tuple[Header, ...]:
    """For what the backend was asked, for this request or for another in flight."""
    verdict, reason = judgement.verdict, judgement.reason
    details: list[str] = []
    if verdict is Verdict.COLLAPSED:
        steps = ["fwd=miss", "collapsed"]
    elif verdict is Verdict.BYPASS:
        steps, details = ["fwd=bypass"], [reason]
    else:
        steps = [f"fwd={_FORWARDED.get(reason, 'miss')}", *(["stored"] if is_stored else ())]
        details = [] if reason == "unknown" else [reason]
    return (b"cache-status", _status(steps, details, ignored)), (b"x-cache", verdict.upper().encode())


def _status(steps: Sequence[str], details: list[str], ignored: Sequence[str]) -> bytes:
    if ignored:
        details = [*details, f"ignored: {' '.join(ignored)}"]
    detail = f'; detail="{", ".join(details)}"' if details else ""
    return f"{'; '.join((NAME, *steps))}{detail}".encode()
