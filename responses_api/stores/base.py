"""What every store of responses and conversations can do. One contract, one test class run against each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

Items = Sequence[tuple[str, bytes]]
"""Ids and items, oldest first."""


class Store(Protocol):
    """Values are opaque bytes under response ids. Every method raises `StoreUnavailable` when it cannot be served."""

    name: str
    survives_restart: bool

    @property
    def healthy(self) -> bool:
        """False after a failed operation, until one succeeds: ask `ping` before work that would be in vain."""

    async def create(self, response_id: str, value: bytes, ttl_seconds: int) -> bool:
        """Stores `value` unless the id exists: of two concurrent creates exactly one gets True. 0 = no expiry.

        Repeating a create whose first try may have arrived (same id, same value) is True.
        """

    async def get(self, response_ids: Sequence[str]) -> list[bytes | None]:
        """The values, in the order of the ids, in one round trip (per node in a Cluster)."""

    async def exist(self, response_ids: Sequence[str]) -> bool:
        """Are all of these (different) ids there? One round trip (per node in a Cluster)."""

    async def delete(self, response_id: str) -> bool:
        """Was there something to delete?"""

    async def ping(self) -> None:
        """Returns when the store answers."""

    async def aclose(self) -> None:
        """Gives back what is its own; a pool that it was given is its giver's."""


class Outcome(Enum):
    """What a conversation's store says of a change."""

    DONE = "done"
    MISSING = "missing"
    LOCKED = "locked"


class ConversationStore(Protocol):
    """Conversations and their items, opaque bytes under ids; no expiry. Raises `StoreUnavailable` as `Store` does.

    A conversation is locked by a `holder` (a response's id) from the reading of its items until they are added to.
    """

    async def create(self, conversation_id: str, value: bytes, items: Items) -> None: ...

    async def get(self, conversation_id: str) -> bytes | None: ...

    async def replace(self, conversation_id: str, value: bytes) -> bool:
        """False where there is none."""

    async def delete(self, conversation_id: str) -> bool:
        """With its items."""

    async def items(self, conversation_id: str) -> list[bytes]:
        """All of them, oldest first."""

    async def count(self, conversation_id: str) -> int:
        """How many items it has."""

    async def page(self, conversation_id: str, after: str | None, limit: int, *, ascending: bool) -> list[bytes] | None:
        """Up to `limit` items behind `after`; None where `after` is not among them."""

    async def item(self, conversation_id: str, item_id: str) -> bytes | None: ...

    async def append(self, conversation_id: str, items: Items, holder: str) -> Outcome:
        """All or nothing, and unlocks. LOCKED where another than `holder` has the lock. Items there already stay."""

    async def remove_item(self, conversation_id: str, item_id: str) -> bool: ...

    async def lock(self, conversation_id: str, holder: str, seconds: float) -> Outcome:
        """Also renews the lock of the same holder."""

    async def unlock(self, conversation_id: str, holder: str) -> None:
        """Nothing where another has the lock."""
