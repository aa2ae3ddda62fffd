"""`previous_response_id` → the conversation so far, oldest first.

Two round trips: the named response, then all its ancestors at once; one more for every further `MAX_ANCESTORS`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from responses_api import metrics
from responses_api.errors import InvalidChain, InvalidRequest, PreviousResponseNotFound
from responses_api.shapes.ids import is_id
from responses_api.shapes.items import ItemView
from responses_api.stores.base import Store
from responses_api.stores.record import MAX_ANCESTORS, ChainLink, decode_link

CONTINUABLE = ("completed", "incomplete")


@dataclass(frozen=True, slots=True)
class Chain:
    """The links that are left, oldest first; `missing` counts deleted and expired ones."""

    links: tuple[ChainLink, ...] = ()
    missing: int = 0

    @property
    def items(self) -> list[ItemView]:
        return [item for link in self.links for item in link.items]

    @property
    def served_by(self) -> str:
        return self.links[-1].served_by if self.links else ""

    @property
    def depth(self) -> int:
        """How many responses precede the next one, missing ones included."""
        return self.links[-1].depth + 1 if self.links else 0

    @property
    def ancestors(self) -> list[str]:
        """What the next response carries: the nearest ids, oldest first."""
        if not self.links:
            return []
        last = self.links[-1]
        return [*last.ancestors, last.id][-MAX_ANCESTORS:]

    @property
    def instructions(self) -> str | None:
        return self.links[-1].response.instructions if self.links else None


class LinkCache:
    """Decoded links, the least recently read out first. Stored responses never change, but they go: ask before use."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._links: OrderedDict[str, tuple[ChainLink, int]] = OrderedDict()

    def get(self, response_id: str) -> ChainLink | None:
        found = self._links.get(response_id)
        if found is None:
            return None
        self._links.move_to_end(response_id)
        return found[0]

    def put(self, link: ChainLink, size: int) -> None:
        """`size` in bytes, as stored."""
        if link.id in self._links or size > self._max_bytes:
            return
        self._links[link.id] = (link, size)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._bytes -= self._links.popitem(last=False)[1][1]

    def drop(self, response_ids: Iterable[str]) -> None:
        for response_id in response_ids:
            _, size = self._links.pop(response_id, (None, 0))
            self._bytes -= size


async def read_chain(
    store: Store, project: str, response_id: str, max_responses: int, cache: LinkCache | None = None
) -> Chain:
    """The chain that ends with `response_id`.

    Raises `PreviousResponseNotFound` for an unknown or foreign id, `InvalidRequest` for one that cannot be continued,
    `InvalidChain` for a cycle, a foreign ancestor, or more than `max_responses` links.
    """
    last = await _read_last(store, project, response_id)
    if last.depth > max_responses:
        raise InvalidChain(response_id, f"it has more than {max_responses} responses before it")
    seen = {last.id}
    newest_first = [last]
    window = last.ancestors
    while window:
        if len(set(window)) != len(window) or not seen.isdisjoint(window):
            raise InvalidChain(response_id, "it runs in a circle")
        seen.update(window)
        links = await _read_window(store, window, cache or LinkCache(0))
        if any(link.project != project for link in links):
            raise InvalidChain(response_id, "it contains a response of another project")
        newest_first += reversed(links)
        window = _older(window, links)
    missing = max(0, last.depth + 1 - len(newest_first))
    if missing:
        metrics.CHAIN_MISSING.inc(missing)
    return Chain(tuple(reversed(newest_first)), missing)


async def _read_last(store: Store, project: str, response_id: str) -> ChainLink:
    value = (await store.get([response_id]))[0] if is_id(response_id, "resp") else None
    if value is None:
        raise PreviousResponseNotFound(response_id)
    last = decode_link(response_id, value)
    if last.project != project:
        raise PreviousResponseNotFound(response_id)
    if last.response.status not in CONTINUABLE:
        raise InvalidRequest(
            f"Previous response with id '{response_id}' is {last.response.status} and cannot be continued.",
            code="previous_response_not_continuable",
            param="previous_response_id",
        )
    return last


async def _read_window(store: Store, window: list[str], cache: LinkCache) -> list[ChainLink]:
    """The links that are there, in the window's order: those known are asked after, the others read, at once."""
    known = {each: link for each in window if (link := cache.get(each)) is not None}
    unknown = [each for each in window if each not in known]
    values, all_there = await asyncio.gather(store.get(unknown), store.exist(list(known)))
    if not all_there:
        cache.drop(known)
        unknown, known = window, {}
        values = await store.get(window)
    for each, value in zip(unknown, values, strict=True):
        if value is not None:
            known[each] = decode_link(each, value)
            cache.put(known[each], len(value))
    return [known[each] for each in window if each in known]


def _older(window: list[str], links: list[ChainLink]) -> list[str]:
    """The ids before this window: the oldest link left knows them, beside the ones found missing just now."""
    if not links:
        return []
    known = set(window)
    return [each for each in links[0].ancestors if each not in known]
