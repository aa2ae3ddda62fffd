"""Ids: a prefix that names the kind, then 32 hex digits nobody can guess."""

from __future__ import annotations

import re
from secrets import token_hex

_SHAPE = re.compile(r"[a-z]{2,8}_[A-Za-z0-9_-]{1,120}\Z")


def new_id(prefix: str) -> str:
    """`resp_…`, `msg_…`, `fc_…`, `rs_…`, `call_…`, `conv_…`: 128 random bits."""
    return f"{prefix}_{token_hex(16)}"


def is_id(value: str, prefix: str) -> bool:
    """Could `value` be an id of this kind? Anything else need not be looked up, nor become part of a key."""
    return value.startswith(f"{prefix}_") and _SHAPE.match(value) is not None
