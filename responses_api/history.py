"""What was said before: the same shape for a chain, a conversation, and the turns that only a connection remembers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from responses_api.chain import Chain
from responses_api.shapes.items import ItemView, view_stored
from responses_api.stores.base import Store
from responses_api.stores.record import StoredResponse, decode_link, decode_response, encode, items_of

ReadRaw = Callable[[], Awaitable[Sequence[Raw]]]
_raws_decoder = msgspec.json.Decoder(list[Raw])


async def _nothing() -> Sequence[Raw]:
    return ()


@dataclass(slots=True)
class History:
    """`items` oldest first; `read_raw` gives them as JSON, for the backends that want them so.

    `ancestors` and `depth` are what the next response carries; `missing` counts deleted and expired responses.
    """

    items: list[ItemView] = field(default_factory=list)
    read_raw: ReadRaw = _nothing
    ancestors: list[str] = field(default_factory=list)
    depth: int = 0
    missing: int = 0
    instructions: str | None = None
    served_by: str = ""
    """The endpoint that gave the last answer, where that is known."""


def of_chain(chain: Chain, store: Store) -> History:
    """A chain in the store. Its links are kept as views: the JSON is read again, and only where it is wanted."""

    async def read_raw() -> Sequence[Raw]:
        ids = [link.id for link in chain.links]
        values = await store.get(ids)
        pairs = zip(ids, values, strict=True)
        return [raw for each, value in pairs if value is not None for raw in items_of(decode_response(each, value))]

    return History(
        chain.items, read_raw, chain.ancestors, chain.depth, chain.missing, chain.instructions, chain.served_by
    )


def of_conversation(items: Sequence[bytes]) -> History:
    """The items of a conversation, as they are stored."""
    array = b"[" + b",".join(items) + b"]"

    async def read_raw() -> Sequence[Raw]:
        return _raws_decoder.decode(array)

    return History(view_stored(array), read_raw)


def continued(before: History, stored: StoredResponse) -> History:
    """`before` and one response more, which need not be in any store."""
    link = decode_link(stored.id, encode(stored))

    async def read_raw() -> Sequence[Raw]:
        return [*await before.read_raw(), *items_of(stored)]

    return History(
        items=[*before.items, *link.items],
        read_raw=read_raw,
        ancestors=Chain((link,)).ancestors,
        depth=link.depth + 1,
        missing=before.missing,
        instructions=link.response.instructions,
    )
