"""Key names. The documented ones, so that `redis-cli GET`, `TTL` and `KEYS sr:*` show what the documentation shows."""

from __future__ import annotations


def response_key(prefix: str, response_id: str) -> str:
    """`sr:response:resp_…`: the stored response as JSON."""
    return f"{prefix}response:{response_id}"


def conversation_key(prefix: str, conversation_id: str) -> str:
    """`sr:conversation:conv_…`."""
    return f"{prefix}conversation:{conversation_id}"


def companion_key(key: str, kind: str) -> str:
    """`{sr:response:resp_…}:events`: the hash tag is the whole main key, so both share a Cluster slot."""
    return f"{{{key}}}:{kind}"
