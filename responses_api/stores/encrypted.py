"""Stores that keep their values locked: any store behind a `Vault`."""

from __future__ import annotations

from collections.abc import Sequence

from responses_api.stores.base import ConversationStore, Items, Outcome, Store
from responses_api.vault import Vault


class EncryptedStore:
    """A `Store`. Its methods raise what the inner one's raise, and `LockedAwayError`."""

    def __init__(self, inner: Store, vault: Vault) -> None:
        self._inner = inner
        self._vault = vault
        self.name = inner.name
        self.survives_restart = inner.survives_restart

    @property
    def healthy(self) -> bool:
        return self._inner.healthy

    async def create(self, response_id: str, value: bytes, ttl_seconds: int) -> bool:
        return await self._inner.create(response_id, self._vault.lock(response_id, value), ttl_seconds)

    async def get(self, response_ids: Sequence[str]) -> list[bytes | None]:
        values = await self._inner.get(response_ids)
        return [
            value if value is None else self._vault.open(response_id, value)
            for response_id, value in zip(response_ids, values, strict=True)
        ]

    async def exist(self, response_ids: Sequence[str]) -> bool:
        return await self._inner.exist(response_ids)

    async def delete(self, response_id: str) -> bool:
        return await self._inner.delete(response_id)

    async def ping(self) -> None:
        await self._inner.ping()

    async def aclose(self) -> None:
        await self._inner.aclose()


class EncryptedConversations:
    """A `ConversationStore`; items are locked as their conversation's."""

    def __init__(self, inner: ConversationStore, vault: Vault) -> None:
        self._inner = inner
        self._vault = vault

    async def create(self, conversation_id: str, value: bytes, items: Items) -> None:
        locked = self._vault.lock(conversation_id, value)
        await self._inner.create(conversation_id, locked, self._locked(conversation_id, items))

    async def get(self, conversation_id: str) -> bytes | None:
        return self._opened(conversation_id, await self._inner.get(conversation_id))

    async def replace(self, conversation_id: str, value: bytes) -> bool:
        return await self._inner.replace(conversation_id, self._vault.lock(conversation_id, value))

    async def delete(self, conversation_id: str) -> bool:
        return await self._inner.delete(conversation_id)

    async def items(self, conversation_id: str) -> list[bytes]:
        return [self._vault.open(conversation_id, item) for item in await self._inner.items(conversation_id)]

    async def count(self, conversation_id: str) -> int:
        return await self._inner.count(conversation_id)

    async def page(self, conversation_id: str, after: str | None, limit: int, *, ascending: bool) -> list[bytes] | None:
        page = await self._inner.page(conversation_id, after, limit, ascending=ascending)
        return page and [self._vault.open(conversation_id, item) for item in page]

    async def item(self, conversation_id: str, item_id: str) -> bytes | None:
        return self._opened(conversation_id, await self._inner.item(conversation_id, item_id))

    async def append(self, conversation_id: str, items: Items, holder: str) -> Outcome:
        return await self._inner.append(conversation_id, self._locked(conversation_id, items), holder)

    async def remove_item(self, conversation_id: str, item_id: str) -> bool:
        return await self._inner.remove_item(conversation_id, item_id)

    async def lock(self, conversation_id: str, holder: str, seconds: float) -> Outcome:
        return await self._inner.lock(conversation_id, holder, seconds)

    async def unlock(self, conversation_id: str, holder: str) -> None:
        await self._inner.unlock(conversation_id, holder)

    def _locked(self, conversation_id: str, items: Items) -> Items:
        return [(item_id, self._vault.lock(conversation_id, item)) for item_id, item in items]

    def _opened(self, conversation_id: str, value: bytes | None) -> bytes | None:
        return value if value is None else self._vault.open(conversation_id, value)
