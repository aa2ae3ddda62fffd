"""Ids: a prefix that names the kind, then 24 hex digits nobody can guess."""

from __future__ import annotations

import os
import re
from collections import deque

_SHAPE = re.compile(r"[a-z]{2,8}_[A-Za-z0-9_-]{1,120}\Z")
_ID_BYTES = 12
_IDS_PER_DRAW = 256

# Asking the kernel for each id costs 10 µs on a virtual machine, and a response has several.
_drawn: deque[str] = deque()
# A forked child must not hand out its parent's ids.
os.register_at_fork(after_in_child=_drawn.clear)


def new_id(prefix: str) -> str:
    """`resp_…`, `msg_…`, `fc_…`, `rs_…`, `call_…`, `conv_…`: 96 random bits from the kernel. Safe in threads."""
    try:
        return f"{prefix}_{_drawn.popleft()}"
    except IndexError:
        digits = os.urandom(_ID_BYTES * _IDS_PER_DRAW).hex()
        width = 2 * _ID_BYTES
        _drawn.extend(digits[start : start + width] for start in range(width, len(digits), width))
        return f"{prefix}_{digits[:width]}"


def is_id(value: str, prefix: str) -> bool:
    """Could `value` be an id of this kind? Anything else need not be looked up, nor become part of a key."""
    return value.startswith(f"{prefix}_") and _SHAPE.match(value) is not None
