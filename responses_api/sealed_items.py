"""Items whose content travels sealed: compacted history, and thoughts of models (`encrypted_content`).

A compaction's payload is JSON: `summary` of what it stands for; `kept`, items that go on verbatim; `prunes`, whether
everything before it in the conversation is covered by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw, Struct

from responses_api.errors import InvalidRequest
from responses_api.sealing import BrokenSealError, Sealer, is_sealed_here
from responses_api.shapes.items import Item, ItemView, PartView, view_stored
from responses_api.translate.dialect import Seal

SUMMARY_INTRODUCTION = "This is a summary of the conversation up to here:\n\n"
_REASONING = "reasoning"
_COMPACTION = "compaction"
_encode = msgspec.json.Encoder().encode


class Compacted(Struct):
    summary: str
    kept: list[Raw] = []
    prunes: bool = False


class _Sealed(Struct):
    """As much of an item as tells whether there is something to open."""

    type: str = ""
    encrypted_content: str | None = None
    content: list[Raw] | None = None


_compacted_decoder = msgspec.json.Decoder(Compacted)
_sealed_decoder = msgspec.json.Decoder(_Sealed)
_item_decoder = msgspec.json.Decoder(dict[str, object])


class SealedItems:
    """Seals and opens for one project at a time."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def reasoning_seal(self, project: str) -> Seal:
        return lambda thought: self._sealer.seal(_REASONING, project, thought)

    def compaction_item(self, project: str, item_id: str, compacted: Compacted) -> Item:
        sealed = self._sealer.seal(_COMPACTION, project, _encode(compacted).decode())
        return {"id": item_id, "type": "compaction", "encrypted_content": sealed}

    def open_views(self, project: str, items: Sequence[ItemView]) -> Sequence[ItemView]:
        """The items as a model reads them. Raises `InvalidRequest` for content that was not sealed here, or changed."""
        if not any(_is_closed(item) for item in items):
            return items
        opened: list[ItemView] = []
        for item in items:
            if item.type == "compaction":
                compacted = self._open_compaction(project, item.encrypted_content)
                if compacted.prunes:
                    opened.clear()
                opened += view_stored(_encode([_summary_message(compacted), *compacted.kept]))
            elif _is_closed(item):
                thought = self._open(_REASONING, project, item.encrypted_content)
                opened.append(ItemView("reasoning", content=[PartView("reasoning_text", Raw(_encode(thought)))]))
            else:
                opened.append(item)
        return opened

    def open_raw(self, project: str, items: Iterable[Raw]) -> list[Raw]:
        """The same for items as JSON. What another vendor sealed stays closed: its backend can open it."""
        opened: list[Raw] = []
        for item in items:
            head = _sealed_decoder.decode(item)
            if not head.encrypted_content or not is_sealed_here(head.encrypted_content):
                opened.append(item)
            elif head.type == "compaction":
                compacted = self._open_compaction(project, head.encrypted_content)
                if compacted.prunes:
                    opened.clear()
                opened += [Raw(_encode(_summary_message(compacted))), *compacted.kept]
            else:
                opened.append(self._open_raw_reasoning(project, item, head))
        return opened

    def _open_raw_reasoning(self, project: str, item: Raw, head: _Sealed) -> Raw:
        fields = _item_decoder.decode(item)
        sealed = str(fields.pop("encrypted_content"))
        if not head.content:
            thought = self._open(_REASONING, project, sealed)
            fields["content"] = [{"type": "reasoning_text", "text": thought}]
        return Raw(_encode(fields))

    def _open_compaction(self, project: str, sealed: str) -> Compacted:
        try:
            return _compacted_decoder.decode(self._open(_COMPACTION, project, sealed))
        except msgspec.DecodeError as error:
            raise _broken(_COMPACTION) from error

    def _open(self, kind: str, project: str, sealed: str) -> str:
        try:
            return self._sealer.open(kind, project, sealed)
        except BrokenSealError as error:
            raise _broken(kind) from error


def _is_closed(item: ItemView) -> bool:
    return bool(item.encrypted_content) and (item.type == "compaction" or not item.content)


def _summary_message(compacted: Compacted) -> Item:
    text = SUMMARY_INTRODUCTION + compacted.summary
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _broken(kind: str) -> InvalidRequest:
    return InvalidRequest(
        f"The encrypted content of a {kind} item could not be verified: it was changed, or made by another service, "
        "project or key. Send it exactly as it was received, or leave the item out.",
        code="invalid_encrypted_content",
        param="input",
    )
