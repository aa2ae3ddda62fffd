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


def flight_keys(prefix: str, digest: str) -> tuple[str, str, str]:
    """All three, in this order."""
    return entry_key(prefix, digest), flight_key(prefix, digest), log_key(prefix, digest)


def generation_key(prefix: str) -> str:
    """A counter that every purge raises."""
    return f"{prefix}generation"


def epochs_key(prefix: str, project: str) -> str:
    """A hash of counters: how often all of a project's entries, or those of a tag, a model, a namespace were purged."""
    return f"{prefix}epochs:{project}"


def used_key(prefix: str, project: str) -> str:
    """A sorted set: the project's entries by when they were last used."""
    return f"{{{prefix}books:{project}}}:used"


def bytes_key(prefix: str, project: str) -> str:
    """A sorted set: the project's entries by their bytes in Redis."""
    return f"{{{prefix}books:{project}}}:bytes"


def total_key(prefix: str, project: str) -> str:
    """The sum of those bytes."""
    return f"{{{prefix}books:{project}}}:total"


def hits_key(prefix: str, project: str) -> str:
    """A sorted set: the project's entries by how often they were given."""
    return f"{{{prefix}books:{project}}}:hits"


def deadlines_key(prefix: str, project: str) -> str:
    """A sorted set: the entries by when Redis forgets them."""
    return f"{{{prefix}books:{project}}}:deadlines"


def books(prefix: str, project: str) -> list[str]:
    """What lists a project's entries: bytes, used, deadlines, hits, total; of one slot."""
    return [make(prefix, project) for make in (bytes_key, used_key, deadlines_key, hits_key, total_key)]


def projects_key(prefix: str) -> str:
    """A set: the projects that have books."""
    return f"{prefix}projects"


def banned_key(prefix: str, project: str) -> str:
    """A hash: the questions whose answers are never to be given again → who said so, when and why."""
    return f"{prefix}banned:{project}"


def stats_key(prefix: str, project: str, day: str) -> str:
    """A hash of counters, one day's; fields `{model} {counter}`."""
    return f"{prefix}stats:{project}:{day}"
