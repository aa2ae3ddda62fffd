"""A bounded dictionary: for a first try, for tests, and as the contract's reference."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence


class MemoryStore:
    """Keeps the newest `max_responses`; dies with its process."""

    name = "memory"
    survives_restart = False
    healthy = True

    def __init__(self, max_responses: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_responses = max_responses
        self._clock = clock
        self._entries: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()

    async def create(self, response_id: str, value: bytes, ttl_seconds: int) -> bool:
        existing = self._live(response_id)
        if existing is not None:
            return existing == value
        deadline = self._clock() + ttl_seconds if ttl_seconds else None
        self._entries[response_id] = (value, deadline)
        while len(self._entries) > self._max_responses:
            self._entries.popitem(last=False)
        return True

    async def get(self, response_ids: Sequence[str]) -> list[bytes | None]:
        return [self._live(response_id) for response_id in response_ids]

    async def exist(self, response_ids: Sequence[str]) -> bool:
        return all(self._live(response_id) is not None for response_id in response_ids)

    async def delete(self, response_id: str) -> bool:
        existed = self._live(response_id) is not None
        self._entries.pop(response_id, None)
        return existed

    async def ping(self) -> None:
        return None

    async def aclose(self) -> None:
        """Nothing is its own."""

    def _live(self, response_id: str) -> bytes | None:
        value, deadline = self._entries.get(response_id, (None, None))
        if deadline is not None and self._clock() >= deadline:
            del self._entries[response_id]
            return None
        return value
