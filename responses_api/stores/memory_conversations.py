"""Conversations in a dictionary: for a first try, for tests, and as the contract's reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from responses_api.stores.base import Items, Outcome


@dataclass(slots=True)
class _Conversation:
    value: bytes
    items: dict[str, bytes] = field(default_factory=dict)
    holder: str = ""
    locked_until: float = 0.0


class MemoryConversations:
    """A `ConversationStore` that keeps the newest `max_conversations`; dies with its process."""

    def __init__(self, max_conversations: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_conversations = max_conversations
        self._clock = clock
        self._conversations: dict[str, _Conversation] = {}

    async def create(self, conversation_id: str, value: bytes, items: Items) -> None:
        self._conversations[conversation_id] = _Conversation(value, dict(items))
        while len(self._conversations) > self._max_conversations:
            del self._conversations[next(iter(self._conversations))]

    async def get(self, conversation_id: str) -> bytes | None:
        found = self._conversations.get(conversation_id)
        return found.value if found else None

    async def replace(self, conversation_id: str, value: bytes) -> bool:
        found = self._conversations.get(conversation_id)
        if found is not None:
            found.value = value
        return found is not None

    async def delete(self, conversation_id: str) -> bool:
        return self._conversations.pop(conversation_id, None) is not None

    async def items(self, conversation_id: str) -> list[bytes]:
        return list(self._items(conversation_id).values())

    async def page(self, conversation_id: str, after: str | None, limit: int, *, ascending: bool) -> list[bytes] | None:
        items = self._items(conversation_id)
        ids = list(items) if ascending else list(items)[::-1]
        if after is not None and after not in items:
            return None
        start = ids.index(after) + 1 if after is not None else 0
        return [items[each] for each in ids[start : start + limit]]

    async def item(self, conversation_id: str, item_id: str) -> bytes | None:
        return self._items(conversation_id).get(item_id)

    async def count(self, conversation_id: str) -> int:
        return len(self._items(conversation_id))

    async def append(self, conversation_id: str, items: Items, holder: str) -> Outcome:
        found = self._conversations.get(conversation_id)
        if found is None or self._is_locked(found, holder):
            return Outcome.LOCKED if found else Outcome.MISSING
        for item_id, item in items:
            found.items.setdefault(item_id, item)
        found.holder = ""
        return Outcome.DONE

    async def remove_item(self, conversation_id: str, item_id: str) -> bool:
        return self._items(conversation_id).pop(item_id, None) is not None

    async def lock(self, conversation_id: str, holder: str, seconds: float) -> Outcome:
        found = self._conversations.get(conversation_id)
        if found is None or self._is_locked(found, holder):
            return Outcome.LOCKED if found else Outcome.MISSING
        found.holder, found.locked_until = holder, self._clock() + seconds
        return Outcome.DONE

    async def unlock(self, conversation_id: str, holder: str) -> None:
        found = self._conversations.get(conversation_id)
        if found is not None and found.holder == holder:
            found.holder = ""

    def _items(self, conversation_id: str) -> dict[str, bytes]:
        found = self._conversations.get(conversation_id)
        return found.items if found else {}

    def _is_locked(self, conversation: _Conversation, holder: str) -> bool:
        return conversation.holder not in ("", holder) and self._clock() < conversation.locked_until
