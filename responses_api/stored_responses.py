"""Stored responses as their owners see them: another project's id is answered exactly like an unknown one."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from responses_api.errors import ApiError, ResponseNotFound
from responses_api.index_entry import IndexEntry
from responses_api.index_writer import IndexWriter
from responses_api.paging import Page, PageRequest, page_of
from responses_api.shapes.ids import is_id
from responses_api.shapes.items import Item
from responses_api.stores.base import Store
from responses_api.stores.record import StoredResponse, decode_response, encode


class _Instructions(Struct):
    instructions: str | None = None


class StoredResponses:
    """Create, get, list the input of, and delete. Every method raises `StoreUnavailable` when the store is away."""

    def __init__(self, store: Store, ttl_seconds: int, index: IndexWriter, *, include_instructions: bool) -> None:
        self._store = store
        self._ttl_seconds = ttl_seconds
        self._index = index
        self._include_instructions = include_instructions

    async def create(self, stored: StoredResponse) -> None:
        """Raises `ApiError` where the id is taken: 96 random bits do not collide, so something is wrong."""
        if not await self._store.create(stored.id, encode(stored), self._ttl_seconds):
            raise ApiError(f"The response id '{stored.id}' is taken.", code="id_conflict")

    async def get(self, project: str, response_id: str) -> StoredResponse:
        """Raises `ResponseNotFound`."""
        value = (await self._store.get([response_id]))[0] if is_id(response_id, "resp") else None
        if value is None:
            raise ResponseNotFound(response_id)
        stored = decode_response(response_id, value)
        if stored.project != project:
            raise ResponseNotFound(response_id)
        return stored

    async def delete(self, project: str, response_id: str) -> None:
        """Raises `ResponseNotFound`. Later links of a chain keep what they carry of their own."""
        stored = await self.get(project, response_id)
        if not await self._store.delete(response_id):
            raise ResponseNotFound(response_id)
        self._index.add(IndexEntry(id=response_id, project=project, op="delete", created_at=stored.created_at))

    async def input_items(self, project: str, response_id: str, wanted: PageRequest) -> Page:
        """The items this response was created with, without those of the chain before it.

        Ascending is the order the model saw: the instructions as a `system` message, then the input. Descending, the
        API's default, thus ends with the instructions, as semantic-router's documented example does.
        Raises `ResponseNotFound`, and `InvalidRequest` for an `after` that is not among them.
        """
        stored = await self.get(project, response_id)
        items: list[Item] = msgspec.json.decode(stored.input)
        if self._include_instructions:
            items = _instruction_items(stored.id, stored.response) + items
        return page_of(items, wanted)


def _instruction_items(response_id: str, response: Raw) -> list[Item]:
    text = msgspec.json.decode(response, type=_Instructions).instructions
    if not text:
        return []
    return [
        {
            # Derived from the response's own id: the same item has the same id each time it is listed.
            "id": f"msg_{response_id.removeprefix('resp_')}",
            "type": "message",
            "role": "system",
            "status": "completed",
            "content": [{"type": "input_text", "text": text}],
        }
    ]
