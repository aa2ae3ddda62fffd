"""`REDIS_URL` in place of the standalone block's server. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import SplitResult, unquote, urlsplit

from responses_api.config.errors import ConfigError, Problem
from responses_api.config.schema import RedisConfig

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?=://)")
_REMEDY = "Write redis://user:password@host:6379/0, or rediss:// for TLS; in a password, / # ? @ as %2F %23 %3F %40"


def with_url(redis: RedisConfig, url: str) -> RedisConfig:
    """`redis` with address, user name, password, db and TLS as `url` has them; what it leaves out is at its default.

    A password or TLS of the block is for the block's server: the URL's may refuse both, as the embedded one does.
    Raises `ConfigError` for what is no `redis://` or `rediss://` URL.
    """
    try:
        parts = urlsplit(url)
        port = 6379 if parts.port is None else parts.port
        db = int(parts.path.strip("/") or 0)
    except ValueError:
        raise ConfigError([_problem(url)]) from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or not port:
        raise ConfigError([_problem(url)])
    return replace(
        redis,
        address=f"{_host(parts)}:{port}",
        db=db,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls_enabled=parts.scheme == "rediss",
    )


def warnings_of(url: str) -> tuple[str, ...]:
    """What of `url` has no effect, by name."""
    query = urlsplit(url).query
    names = ", ".join(part.partition("=")[0] for part in query.split("&"))
    return (f"REDIS_URL: its query ({names}) is ignored; use the keys of response_api.redis",) if query else ()


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _problem(url: str) -> Problem:
    # Only the scheme is shown: where the parts of a wrong URL end, nobody knows, and one is a password.
    match = _SCHEME.match(url)
    shown = f"{match[0]}://…" if match else "…"
    if match and match[0] == "unix":
        return Problem("REDIS_URL", shown, "a Unix socket cannot be used: the router connects to host:port", _REMEDY)
    return Problem("REDIS_URL", shown, "is no Redis URL", _REMEDY)
