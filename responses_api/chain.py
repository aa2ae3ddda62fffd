"""`previous_response_id` → the conversation so far, oldest first.

Two round trips: the named response, then all its ancestors at once; one more for every further `MAX_ANCESTORS`.
"""

from __future__ import annotations

from dataclasses import dataclass

from responses_api import metrics
from responses_api.errors import InvalidChain, InvalidRequest, PreviousResponseNotFound
from responses_api.shapes.ids import is_id
from responses_api.shapes.items import ItemView
from responses_api.stores.base import Store
from responses_api.stores.record import MAX_ANCESTORS, ChainLink, decode_link

_CONTINUABLE = ("completed", "incomplete")


@dataclass(frozen=True, slots=True)
class Chain:
    """The links that are left, oldest first; `missing` counts deleted and expired ones."""

    links: tuple[ChainLink, ...] = ()
    missing: int = 0

    @property
    def items(self) -> list[ItemView]:
        return [item for link in self.links for item in link.items]

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


async def read_chain(store: Store, project: str, response_id: str, max_responses: int) -> Chain:
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
        links = _decode_own(project, response_id, window, await store.get(window))
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
    if last.response.status not in _CONTINUABLE:
        raise InvalidRequest(
            f"Previous response with id '{response_id}' is {last.response.status} and cannot be continued.",
            code="previous_response_not_continuable",
            param="previous_response_id",
        )
    return last


def _decode_own(project: str, response_id: str, ids: list[str], values: list[bytes | None]) -> list[ChainLink]:
    links = [decode_link(each, value) for each, value in zip(ids, values, strict=True) if value is not None]
    if any(link.project != project for link in links):
        raise InvalidChain(response_id, "it contains a response of another project")
    return links


def _older(window: list[str], links: list[ChainLink]) -> list[str]:
    """The ids before this window: the oldest link left knows them, beside the ones found missing just now."""
    if not links:
        return []
    known = set(window)
    return [each for each in links[0].ancestors if each not in known]
