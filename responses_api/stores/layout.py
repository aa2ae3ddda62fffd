"""Key names. The documented ones, so that `redis-cli GET`, `TTL` and `KEYS sr:*` show what the documentation shows."""

from __future__ import annotations


def response_key(prefix: str, response_id: str) -> str:
    """`sr:response:resp_…`: the stored response as JSON."""
    return f"{prefix}response:{response_id}"
