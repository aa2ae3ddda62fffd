"""Ids: a prefix that names the kind, then 24 hex digits nobody can guess.

An item's id begins with the digits of the response or conversation it was made for, so that it tells where to look.
"""

from __future__ import annotations

import os
import re
from collections import deque

_SHAPE = re.compile(r"[a-z]{2,8}_[A-Za-z0-9_-]{1,120}\Z")
_ITEM_SHAPE = re.compile(r"[a-z]{2,8}_([0-9a-f]{24})[0-9a-f]{6,}\Z")
_ID_BYTES = 12
_IDS_PER_DRAW = 256

# Asking the kernel for each id costs 10 µs on a virtual machine, and a response has several.
_drawn: deque[str] = deque()
# A forked child must not hand out its parent's ids.
os.register_at_fork(after_in_child=_drawn.clear)


def new_id(prefix: str) -> str:
    """`resp_…`, `conv_…`, `call_…`, `req_…`: 96 random bits from the kernel. Safe in threads."""
    try:
        return f"{prefix}_{_drawn.popleft()}"
    except IndexError:
        digits = os.urandom(_ID_BYTES * _IDS_PER_DRAW).hex()
        width = 2 * _ID_BYTES
        _drawn.extend(digits[start : start + width] for start in range(width, len(digits), width))
        return f"{prefix}_{digits[:width]}"


class ItemIds:
    """Ids for the items of one owner (`resp_…`, `conv_…`): its digits, then a number. The same each time, in order."""

    __slots__ = ("_digits", "_next")

    def __init__(self, owner_id: str, first: int = 0) -> None:
        self._digits = owner_id.partition("_")[2]
        self._next = first

    @classmethod
    def of_output(cls, response_id: str) -> ItemIds:
        """Far from those of the input, of which a request can hold half a million."""
        return cls(response_id, 0x800000)

    @classmethod
    def random(cls, owner_id: str) -> ItemIds:
        """For an owner that gets items again and again: a place of 48 bits, and on from there."""
        return cls(owner_id, int.from_bytes(os.urandom(6)) | 1 << 47)

    def new(self, prefix: str) -> str:
        number = self._next
        self._next = number + 1
        return f"{prefix}_{self._digits}{number:06x}"


def owner_digits(item_id: str) -> str | None:
    """The digits of the response or conversation that an item's id was made for; None for a stranger's id."""
    match = _ITEM_SHAPE.match(item_id)
    return match[1] if match else None


def is_id(value: str, prefix: str) -> bool:
    """Could `value` be an id of this kind? Anything else need not be looked up, nor become part of a key."""
    return value.startswith(f"{prefix}_") and _SHAPE.match(value) is not None
