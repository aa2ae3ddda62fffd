"""What a process remembers: bounded in bytes, the least recently used goes. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_SHARE = 8
"""What would take more than this part of all is not remembered."""


class BoundedMemory(Generic[K, V]):
    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """`size` in bytes, about."""
        self.remove(key)
        if size > self._max_bytes // MAX_SHARE:
            return
        self._values[key] = (value, size)
        self.bytes += size
        while self.bytes > self._max_bytes:
            _, (_, oldest) = self._values.popitem(last=False)
            self.bytes -= oldest

    def remove(self, key: K) -> None:
        if (old := self._values.pop(key, None)) is not None:
            self.bytes -= old[1]

    def clear(self) -> None:
        self._values.clear()
        self.bytes = 0
