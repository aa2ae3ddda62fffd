"""What every store of responses can do. One contract, one test class run against each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Store(Protocol):
    """Values are opaque bytes under response ids. Every method raises `StoreUnavailable` when it cannot be served."""

    name: str
    survives_restart: bool
    healthy: bool
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
