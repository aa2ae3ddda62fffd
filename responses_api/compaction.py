"""History made short: a model's summary, sealed as a `compaction` item that later requests carry in its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from responses_api.backends.registry import Endpoint
from responses_api.errors import BackendError
from responses_api.sealed_items import Compacted, SealedItems
from responses_api.shapes.ids import ItemIds
from responses_api.shapes.items import Item
from responses_api.shapes.request import CreateRequest, parse_create_request
from responses_api.shapes.response import Usage
from responses_api.translate.dialect import Dialect, Prompt
from responses_api.translate.outcome import Outcome

DEFAULT_THRESHOLD_TOKENS = 64_000
BYTES_PER_TOKEN = 4
"""An estimate, for text in most languages and most tokenizers."""

# Its id stands between those of the input and those of what the model says.
_COMPACTION_PLACE = 0x7FFF00
_encode = msgspec.json.Encoder().encode
_TASK = (
    "Summarise the conversation so far, so that it can be continued from your summary alone. Keep every fact, name, "
    "number, decision, open question and unfinished task, what tools were called for and what they gave. Write the "
    "summary only."
)

Ask = Callable[[CreateRequest, Prompt, Endpoint, Dialect], Awaitable[Outcome]]
"""Asks a backend aside from the run: request, prompt, endpoint, dialect → what it answered. Raises `ApiError`."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """`items` stand for what was compacted; `usage` is what making them took."""

    items: list[Item]
    usage: Usage | None


class Compactor:
    """Asks the conversation's own model for the summary."""

    def __init__(self, sealed: SealedItems, ask: Ask) -> None:
        self._sealed = sealed
        self._ask = ask

    async def compact_window(
        self, project: str, request: CreateRequest, prompt: Prompt, endpoint: Endpoint, dialect: Dialect
    ) -> Compaction:
        """For `POST /v1/responses/compact`: the user's messages as they are, then one item for all the rest.

        Raises `ApiError`, where the model gave no summary too.
        """
        summary, usage = await self._summarise(request, prompt, endpoint, dialect)
        ids = ItemIds.of_output(request.response_id)
        users = [each for raw in prompt.raw_items if (each := _item(raw)).get("role") == "user"]
        for user in users:
            user["id"] = user.get("id") or ids.new("msg")
            user["status"] = "completed"
        item = self._sealed.compaction_item(project, ids.new("cmp"), Compacted(summary))
        return Compaction([*users, item], usage)

    async def compact_history(
        self, project: str, request: CreateRequest, prompt: Prompt, endpoint: Endpoint, dialect: Dialect
    ) -> Compaction | None:
        """For `context_management`: one item for all before the newest turn, which it carries along as it is.

        None where there is nothing before it.
        """
        place = _newest_turn(prompt)
        if place == 0:
            return None
        before = Prompt(prompt.items[:place], prompt.instructions, prompt.raw_items[:place])
        summary, usage = await self._summarise(request, before, endpoint, dialect)
        compacted = Compacted(summary, list(prompt.raw_items[place:]), prunes=True)
        ids = ItemIds(request.response_id, _COMPACTION_PLACE)
        return Compaction([self._sealed.compaction_item(project, ids.new("cmp"), compacted)], usage)

    async def _summarise(
        self, request: CreateRequest, prompt: Prompt, endpoint: Endpoint, dialect: Dialect
    ) -> tuple[str, Usage | None]:
        wanted = f"{request.params.instructions}\n\n{_TASK}" if request.params.instructions else _TASK
        body = {"model": request.model, "input": _TASK, "instructions": wanted, "store": False}
        asked = parse_create_request(_encode(body))
        whole = Prompt(
            items=[*prompt.items, *asked.views],
            instructions=wanted,
            raw_items=[*prompt.raw_items, *(Raw(_encode(item)) for item in asked.items)],
        )
        outcome = await self._ask(asked, whole, endpoint, dialect)
        summary = _text_of(outcome.output)
        if not summary:
            raise BackendError(f"Backend '{endpoint.name}' gave no summary of the conversation.")
        return summary, outcome.usage


def estimated_tokens(body: bytes) -> int:
    return len(body) // BYTES_PER_TOKEN


def _newest_turn(prompt: Prompt) -> int:
    """Where the last message of the user stands; tool outputs after it belong to it."""
    places = [place for place, item in enumerate(prompt.items) if item.type == "message" and item.role == "user"]
    return places[-1] if places else 0


def _item(raw: Raw) -> Item:
    item: Item = msgspec.json.decode(raw)
    return item


def _text_of(items: Sequence[Item]) -> str:
    parts = [part for item in items if item["type"] == "message" for part in item.get("content") or ()]
    return "".join(str(part.get("text", "")) for part in parts).strip()
