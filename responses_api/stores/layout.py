"""Key names. The documented ones, so that `redis-cli GET`, `TTL` and `KEYS sr:*` show what the documentation shows.

A companion key has the main key's name in literal braces: the hash tag equals the main key, and both share a slot.
"""

from __future__ import annotations


def response_key(prefix: str, response_id: str) -> str:
    """`sr:response:resp_…`: the stored response as JSON."""
    return f"{prefix}response:{response_id}"


def conversation_key(prefix: str, conversation_id: str) -> str:
    """`sr:conversation:conv_…`: the conversation as JSON, without its items."""
    return f"{prefix}conversation:{conversation_id}"


def companion_key(key: str, name: str) -> str:
    """`{sr:response:resp_…}:events` and the like."""
    return f"{{{key}}}:{name}"


def literally(text: str) -> str:
    """As a part of a `SCAN` pattern that matches nothing but itself."""
    return "".join(f"\\{char}" if char in "*?[]\\" else char for char in text)


def background_key(prefix: str) -> str:
    """`sr:background`: the ids of unfinished background runs, by the time at which to look after them."""
    return f"{prefix}background"
