"""The bodies of the Conversations API (OpenAI API reference, Conversations)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from responses_api.errors import InvalidRequest, MissingParameter
from responses_api.shapes.ids import ItemIds
from responses_api.shapes.items import Item, parse_items
from responses_api.shapes.request import Metadata
from responses_api.shapes.validation import decode

MAX_ITEMS_A_CALL = 20
ItemList = Annotated[list[msgspec.Raw], Meta(max_length=MAX_ITEMS_A_CALL)]


class CreateConversation(Struct):
    items: ItemList | None = None
    metadata: Metadata | None = None


class UpdateConversation(Struct):
    metadata: Metadata | None


class CreateItems(Struct):
    items: ItemList | None = None


def parse_create_conversation(body: bytes, conversation_id: str) -> tuple[list[Item], dict[str, str]]:
    """Items and metadata of a new conversation; the body may be empty. Raises `InvalidRequest`."""
    created = decode(body, CreateConversation) if body.strip() else CreateConversation()
    return _parse(created.items or [], ItemIds(conversation_id)), created.metadata or {}


def parse_update_conversation(body: bytes) -> dict[str, str]:
    """The new metadata. Raises `InvalidRequest`."""
    return decode(body, UpdateConversation).metadata or {}


def parse_create_items(body: bytes, conversation_id: str) -> list[Item]:
    """Raises `InvalidRequest`."""
    items = decode(body, CreateItems).items
    if not items:
        raise MissingParameter("items")
    return _parse(items, ItemIds.random(conversation_id))


def _parse(raws: list[msgspec.Raw], ids: ItemIds) -> list[Item]:
    items = parse_items(raws, ids, "items")
    for index, item in enumerate(items):
        if item["type"] == "item_reference":
            raise InvalidRequest(
                "A conversation keeps items, not references to them. Send the item itself.",
                code="invalid_value",
                param=f"items[{index}].type",
            )
    return items
