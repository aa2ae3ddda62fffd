"""`/v1/conversations` and their items."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema

from responses_api.api.http import Reply, Request
from responses_api.api.query import PAGE_PARAMETERS, read_include, read_page
from responses_api.api.responses import StatefulView
from responses_api.api.schema import DeletedConversation, ErrorBody, ItemList
from responses_api.conversations import Conversation
from responses_api.shapes.conversation import (
    CreateConversation,
    CreateItems,
    UpdateConversation,
    parse_create_conversation,
    parse_create_items,
    parse_update_conversation,
)
from responses_api.shapes.ids import new_id

# The document has no shape for items: they are whatever the Responses API has.
_Item = dict[str, Any]


class ConversationsView(StatefulView):
    """`POST /v1/conversations`."""

    @extend_schema(
        operation_id="createConversation",
        request=CreateConversation,
        responses={200: Conversation, "default": ErrorBody},
    )
    async def post(self, request: Request) -> Reply:
        conversation_id = new_id("conv")
        body = request.json_body() if request.body else b""
        items, metadata = parse_create_conversation(body, conversation_id)
        conversations = request.runtime.conversations
        return Reply(await conversations.create(request.project, conversation_id, items, metadata))


class ConversationView(StatefulView):
    """`GET`, `POST` and `DELETE /v1/conversations/{id}`."""

    @extend_schema(operation_id="getConversation", responses={200: Conversation, "default": ErrorBody})
    async def get(self, request: Request, conversation_id: str) -> Reply:
        return Reply(await request.runtime.conversations.get(request.project, conversation_id))

    @extend_schema(
        operation_id="updateConversation",
        request=UpdateConversation,
        responses={200: Conversation, "default": ErrorBody},
    )
    async def post(self, request: Request, conversation_id: str) -> Reply:
        metadata = parse_update_conversation(request.json_body())
        return Reply(await request.runtime.conversations.update(request.project, conversation_id, metadata))

    @extend_schema(operation_id="deleteConversation", responses={200: DeletedConversation, "default": ErrorBody})
    async def delete(self, request: Request, conversation_id: str) -> Reply:
        await request.runtime.conversations.delete(request.project, conversation_id)
        return Reply(b'{"id":"%b","object":"conversation.deleted","deleted":true}' % conversation_id.encode())


class ConversationItemsView(StatefulView):
    """`GET` and `POST /v1/conversations/{id}/items`."""

    @extend_schema(
        operation_id="listConversationItems",
        parameters=PAGE_PARAMETERS,
        responses={200: ItemList, "default": ErrorBody},
    )
    async def get(self, request: Request, conversation_id: str) -> Reply:
        read_include(request)
        conversations = request.runtime.conversations
        return Reply((await conversations.list_items(request.project, conversation_id, read_page(request))).body())

    @extend_schema(
        operation_id="createConversationItems",
        request=CreateItems,
        responses={200: ItemList, "default": ErrorBody},
    )
    async def post(self, request: Request, conversation_id: str) -> Reply:
        read_include(request)
        items = parse_create_items(request.json_body(), conversation_id)
        return Reply((await request.runtime.conversations.add_items(request.project, conversation_id, items)).body())


class ConversationItemView(StatefulView):
    """`GET` and `DELETE /v1/conversations/{id}/items/{item_id}`."""

    @extend_schema(operation_id="getConversationItem", responses={200: _Item, "default": ErrorBody})
    async def get(self, request: Request, conversation_id: str, item_id: str) -> Reply:
        read_include(request)
        return Reply(await request.runtime.conversations.get_item(request.project, conversation_id, item_id))

    @extend_schema(operation_id="deleteConversationItem", responses={200: Conversation, "default": ErrorBody})
    async def delete(self, request: Request, conversation_id: str, item_id: str) -> Reply:
        return Reply(await request.runtime.conversations.remove_item(request.project, conversation_id, item_id))
