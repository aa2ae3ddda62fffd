"""Conversations as their owners see them (OpenAI API reference, Conversations), and as a run reads and extends them.

Another project's conversation is answered exactly like an unknown one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import msgspec
import structlog
from msgspec import Raw, Struct

from responses_api import history
from responses_api.errors import ApiError, ConversationLocked, ConversationNotFound, ItemNotFound
from responses_api.history import History
from responses_api.paging import Page, PageRequest, unknown_cursor
from responses_api.shapes.ids import is_id, new_id
from responses_api.shapes.items import Item
from responses_api.stores.base import ConversationStore, Items, Outcome

log = structlog.get_logger(__name__)

LOCK_SECONDS = 10.0
"""Of a writer that says nothing any more; one that lives renews its lock three times in that time."""
QUEUED_LOCK_SECONDS = 24 * 3600.0
"""Of a background run, whose end is looked after elsewhere."""

_decode_item = msgspec.json.Decoder(dict[str, object]).decode
_encode = msgspec.json.Encoder().encode


class Conversation(Struct, kw_only=True):
    """`created_at` in Unix seconds."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: dict[str, str]


class OwnedConversation(Conversation, kw_only=True):
    """What is stored: the owner beside what is shown."""

    project: str


_record_decoder = msgspec.json.Decoder(OwnedConversation)
_shown_decoder = msgspec.json.Decoder(Conversation)


class Conversations:
    """Every method raises `StoreUnavailable` when the store is away, and `ConversationNotFound`."""

    def __init__(self, store: ConversationStore) -> None:
        self._store = store
        self._returning: set[asyncio.Task[None]] = set()

    async def create(
        self, project: str, conversation_id: str, items: Sequence[Item], metadata: dict[str, str]
    ) -> bytes:
        """The new conversation as JSON."""
        record = OwnedConversation(id=conversation_id, created_at=int(time.time()), metadata=metadata, project=project)
        await self._store.create(conversation_id, _encode(record), to_pairs(items))
        return _shown(record)

    async def get(self, project: str, conversation_id: str) -> bytes:
        return _shown(await self._record(project, conversation_id))

    async def update(self, project: str, conversation_id: str, metadata: dict[str, str]) -> bytes:
        """With other metadata, in place of the old."""
        record = await self._record(project, conversation_id)
        record.metadata = metadata
        if not await self._store.replace(conversation_id, _encode(record)):
            raise ConversationNotFound(conversation_id)
        return _shown(record)

    async def delete(self, project: str, conversation_id: str) -> None:
        await self._record(project, conversation_id)
        if not await self._store.delete(conversation_id):
            raise ConversationNotFound(conversation_id)

    async def add_items(self, project: str, conversation_id: str, items: Sequence[Item]) -> Page:
        """Those added, in their order. Raises `ConversationLocked` while a response is being made."""
        await self._record(project, conversation_id)
        await self.append(conversation_id, to_pairs(items), new_id("add"))
        return Page(items, has_more=False)

    async def list_items(self, project: str, conversation_id: str, wanted: PageRequest) -> Page:
        """Raises `InvalidRequest` for an `after` that is not among them."""
        await self._record(project, conversation_id)
        found = await self._store.page(conversation_id, wanted.after, wanted.limit + 1, ascending=wanted.order == "asc")
        if found is None:
            raise unknown_cursor(wanted.after or "")
        items = [_decode_item(each) for each in found]
        return Page(items[: wanted.limit], has_more=len(items) > wanted.limit)

    async def get_item(self, project: str, conversation_id: str, item_id: str) -> bytes:
        """The item as JSON. Raises `ItemNotFound`."""
        await self._record(project, conversation_id)
        item = await self._store.item(conversation_id, item_id)
        if item is None:
            raise ItemNotFound.in_conversation(item_id)
        return item

    async def remove_item(self, project: str, conversation_id: str, item_id: str) -> bytes:
        """The conversation without it. Raises `ItemNotFound`."""
        record = await self._record(project, conversation_id)
        if not await self._store.remove_item(conversation_id, item_id):
            raise ItemNotFound.in_conversation(item_id)
        return _shown(record)

    async def inspect(self, conversation_id: str) -> tuple[OwnedConversation, int]:
        """For operators: whoever's it is, and how many items it has."""
        value = await self._store.get(conversation_id) if is_id(conversation_id, "conv") else None
        if value is None:
            raise ConversationNotFound(conversation_id)
        return _record_decoder.decode(value), await self._store.count(conversation_id)

    # -- for runs ------------------------------------------------------------------------------------------------

    async def read(self, project: str, conversation_id: str) -> History:
        await self._record(project, conversation_id)
        return history.of_conversation(await self._store.items(conversation_id))

    async def find_item(self, project: str, conversation_id: str, item_id: str) -> bytes | None:
        """An item by its id, None where project, conversation or item are unknown."""
        try:
            return await self.get_item(project, conversation_id, item_id)
        except (ConversationNotFound, ItemNotFound):
            return None

    async def lock(self, conversation_id: str, holder: str, seconds: float = LOCK_SECONDS) -> None:
        """So that nobody else adds to it until `append` or `unlock`. Raises `ConversationLocked`."""
        _require(await self._store.lock(conversation_id, holder, seconds), conversation_id)

    async def append(self, conversation_id: str, items: Items, holder: str) -> None:
        """All at once, and unlocks. Raises `ConversationLocked` where the lock is another's."""
        _require(await self._store.append(conversation_id, items, holder), conversation_id)

    async def unlock(self, conversation_id: str, holder: str) -> None:
        await self._store.unlock(conversation_id, holder)

    @contextmanager
    def holding(self, conversation_id: str, holder: str) -> Iterator[None]:
        """Renews the lock, and gives it back however the block ends."""
        renewing = asyncio.ensure_future(self._renew(conversation_id, holder))
        try:
            yield
        finally:
            renewing.cancel()
            # Not awaited: the client may have left, and this task be on its way out.
            self._returning.add(task := asyncio.ensure_future(self._give_back(conversation_id, holder)))
            task.add_done_callback(self._returning.discard)

    async def _renew(self, conversation_id: str, holder: str) -> None:
        while True:
            await asyncio.sleep(LOCK_SECONDS / 3)
            try:
                await self.lock(conversation_id, holder)
            except ApiError as error:
                log.warning("conversation_lock_not_renewed", conversation=conversation_id, reason=error.message)

    async def _give_back(self, conversation_id: str, holder: str) -> None:
        try:
            await self.unlock(conversation_id, holder)
        except ApiError as error:
            log.warning("conversation_lock_not_returned", conversation=conversation_id, reason=error.message)

    async def _record(self, project: str, conversation_id: str) -> OwnedConversation:
        value = await self._store.get(conversation_id) if is_id(conversation_id, "conv") else None
        record = _record_decoder.decode(value) if value is not None else None
        if record is None or record.project != project:
            raise ConversationNotFound(conversation_id)
        return record


def to_pairs(items: Sequence[Item]) -> list[tuple[str, bytes]]:
    """Items as the store takes them."""
    return [(item["id"], _encode(item)) for item in items]


def raw_pairs(items: Sequence[Raw]) -> list[tuple[str, bytes]]:
    """The same for items that are JSON already."""
    return [(str(_decode_item(item)["id"]), bytes(item)) for item in items]


def _shown(record: OwnedConversation) -> bytes:
    return _encode(_shown_decoder.decode(_encode(record)))


def _require(outcome: Outcome, conversation_id: str) -> None:
    if outcome is Outcome.MISSING:
        raise ConversationNotFound(conversation_id)
    if outcome is Outcome.LOCKED:
        raise ConversationLocked
