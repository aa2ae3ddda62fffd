"""`item_reference` → the item itself. An item's id tells for which response or conversation it was made."""

from __future__ import annotations

import asyncio

import msgspec

from responses_api.conversations import Conversations
from responses_api.errors import ItemNotFound, ResponseNotFound
from responses_api.shapes.ids import owner_digits
from responses_api.shapes.items import Item, view
from responses_api.shapes.request import CreateRequest
from responses_api.stored_responses import StoredResponses
from responses_api.stores.record import items_of

_decode_item = msgspec.json.Decoder(dict[str, object]).decode


class References:
    """Looks in the request's conversation, then where the id points to; another project's item is an unknown one."""

    def __init__(self, stored: StoredResponses, conversations: Conversations) -> None:
        self._stored = stored
        self._conversations = conversations

    async def resolve(self, request: CreateRequest, project: str) -> None:
        """Puts the items in place of their references. Raises `ItemNotFound`."""
        places = [place for place, item in enumerate(request.items) if item["type"] == "item_reference"]
        ids = [request.items[place]["id"] for place in places]
        found = await asyncio.gather(*(self._find(project, each, request.conversation_id) for each in ids))
        for place, item in zip(places, found, strict=True):
            request.items[place] = item
        request.views = view(request.items)

    async def _find(self, project: str, item_id: str, conversation_id: str | None) -> Item:
        digits = owner_digits(item_id)
        conversations = [conversation_id, f"conv_{digits}" if digits else None]
        for each in conversations:
            item = await self._conversations.find_item(project, each, item_id) if each else None
            if item is not None:
                return _decode_item(item)
        if digits:
            return await self._find_in_response(project, f"resp_{digits}", item_id)
        raise ItemNotFound.referenced(item_id)

    async def _find_in_response(self, project: str, response_id: str, item_id: str) -> Item:
        try:
            stored = await self._stored.get(project, response_id)
        except ResponseNotFound:
            raise ItemNotFound.referenced(item_id) from None
        for raw in items_of(stored):
            item = _decode_item(raw)
            if item["id"] == item_id:
                return item
        raise ItemNotFound.referenced(item_id)
