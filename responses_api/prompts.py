"""What the model is to read: history, references and sealed content resolved, the request's own items last."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from responses_api import history
from responses_api.chain import LinkCache, read_chain
from responses_api.conversations import Conversations
from responses_api.history import History
from responses_api.references import References
from responses_api.sealed_items import SealedItems
from responses_api.shapes.items import view_stored
from responses_api.shapes.request import CreateRequest
from responses_api.stores.base import Store
from responses_api.translate.dialect import Prompt
from responses_api.translate.tool_pairs import check_tool_pairs

_encode = msgspec.json.Encoder().encode


class Prompts:
    """One per event loop."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        references: References,
        sealed: SealedItems,
        *,
        max_chain_responses: int,
        chain_cache_bytes: int,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._references = references
        self._sealed = sealed
        self._max_chain_responses = max_chain_responses
        self._links = LinkCache(chain_cache_bytes)

    async def read_history(self, project: str, previous: str | None, conversation_id: str | None) -> History:
        """Raises `ApiError` for an id that is unknown, another's, or cannot be continued."""
        if previous:
            chain = await read_chain(self._store, project, previous, self._max_chain_responses, self._links)
            return history.of_chain(chain, self._store)
        if conversation_id:
            return await self._conversations.read(project, conversation_id)
        return History()

    async def assemble(
        self, project: str, request: CreateRequest, before: History, instructions: str | None, *, with_raw: bool
    ) -> Prompt:
        """Raises `ApiError` for a reference, a sealed content or a tool output that leads nowhere."""
        if request.has_references:
            await self._references.resolve(request, project)
        if with_raw:
            items = [*await before.read_raw(), *(Raw(_encode(item)) for item in request.items)]
            raw = self._sealed.open_raw(project, items)
            prompt = prompt_of(raw, instructions)
        else:
            prompt = Prompt(self._sealed.open_views(project, [*before.items, *request.views]), instructions)
        check_tool_pairs(prompt.items)
        return prompt


def prompt_of(raw: Sequence[Raw], instructions: str | None) -> Prompt:
    """A prompt of items that are JSON."""
    return Prompt(view_stored(_encode(raw)), instructions, raw)
