"""The cache's key names. One entry's keys share a slot of a Cluster."""

from __future__ import annotations

from responses_api.config.schema import RouterConfig


def prefix_of(config: RouterConfig) -> str:
    return config.response_cache.key_prefix or f"{config.response_api.redis.key_prefix}cache:"


def entry_key(prefix: str, digest: str) -> str:
    """The filed entry."""
    return f"{{{prefix}{digest}}}:entry"


def flight_key(prefix: str, digest: str) -> str:
    """A hash: who is asking the backend, and the answer until it is filed."""
    return f"{{{prefix}{digest}}}:flight"


def log_key(prefix: str, digest: str) -> str:
    """A stream: what a flight has told so far."""
    return f"{{{prefix}{digest}}}:log"


def generation_key(prefix: str) -> str:
    """A counter that every purge raises."""
    return f"{prefix}generation"


def epochs_key(prefix: str, project: str) -> str:
    """A hash of counters: how often all of a project's entries, or those of a tag, a model, a namespace were purged."""
    return f"{prefix}epochs:{project}"


def used_key(prefix: str, project: str) -> str:
    """A sorted set: the project's entries by when they were last used."""
    return f"{{{prefix}books:{project}}}:used"


def sizes_key(prefix: str, project: str) -> str:
    """A hash: the entries' bytes; field `total` their sum."""
    return f"{{{prefix}books:{project}}}:sizes"


def deadlines_key(prefix: str, project: str) -> str:
    """A sorted set: the entries by when Redis forgets them."""
    return f"{{{prefix}books:{project}}}:deadlines"


def projects_key(prefix: str) -> str:
    """A set: the projects that have books."""
    return f"{prefix}projects"


def stats_key(prefix: str, project: str, day: str) -> str:
    """A hash of counters, one day's; fields `{model} {counter}`."""
    return f"{prefix}stats:{project}:{day}"
