"""Items of responses and conversations → what a reader wants to see: messages, calls beside their outputs, reasoning.

Long texts are cut, and numbered, so that the whole of one can be asked for. Masked, only sizes are told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_SHOWN_CHARS = 4000
MAX_IMAGE_CHARS = 2_000_000

Item = dict[str, Any]


@dataclass(slots=True)
class Text:
    """`shown` of `length` characters; `number` is its place among all texts of the thread."""

    shown: str
    length: int
    number: int
    label: str = ""
    is_code: bool = False

    @property
    def is_cut(self) -> bool:
        return len(self.shown) < self.length


@dataclass(slots=True)
class Piece:
    """`kind`: message, call, reasoning, other; `who`: a role or a tool's name. `images` are data URLs."""

    kind: str
    who: str
    id: str = ""
    status: str = ""
    is_input: bool = False
    texts: list[Text] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    outputs: list[Text] = field(default_factory=list)
    is_awaiting: bool = False
    """A call whose output is not among these items."""


class Thread:
    """One reading of a list of items. `whole` keeps every text, for the one that is asked for."""

    def __init__(self, *, is_masked: bool = False) -> None:
        self.pieces: list[Piece] = []
        self._whole: list[str] = []
        self._is_masked = is_masked
        self._calls: dict[str, Piece] = {}

    def add(self, items: Iterable[Item], *, is_input: bool) -> Thread:
        for item in items:
            piece = self._read(item)
            if piece is not None:
                piece.is_input = is_input
                self.pieces.append(piece)
        return self

    def add_instructions(self, instructions: Any) -> None:
        if isinstance(instructions, str) and instructions:
            self.add([{"type": "message", "role": "instructions", "content": instructions}], is_input=True)

    def whole(self, number: int) -> str | None:
        """The text of this number, uncut."""
        return self._whole[number] if 0 <= number < len(self._whole) else None

    def _read(self, item: Item) -> Piece | None:
        kind = str(item.get("type") or "message")
        if kind.endswith("_call_output") and item.get("call_id") in self._calls:
            call = self._calls[item["call_id"]]
            call.outputs += self._parts(item.get("output"), call.images)
            call.is_awaiting = False
            return None
        piece = Piece(kind, kind, str(item.get("id") or ""), str(item.get("status") or ""))
        if kind == "message":
            piece.who = str(item.get("role") or "")
            piece.texts = self._parts(item.get("content"), piece.images)
        elif kind == "reasoning":
            piece.texts = self._parts([*(item.get("summary") or []), *(item.get("content") or [])], piece.images)
            if not piece.texts:
                piece.texts = [self._text("(encrypted)" if item.get("encrypted_content") else "(empty)")]
        elif kind in ("function_call", "custom_tool_call"):
            piece.kind, piece.who, piece.is_awaiting = "call", str(item.get("name")), True
            piece.texts = [self._text(_pretty(item.get("arguments", item.get("input"))), is_code=True)]
            self._calls[str(item.get("call_id"))] = piece
        elif kind.endswith("_call_output"):
            piece.kind, piece.who = "call", ""
            piece.outputs = self._parts(item.get("output"), piece.images)
        else:
            piece.kind = "other"
            piece.texts = [self._text(_pretty(item), is_code=True)]
        return piece

    def _parts(self, content: Any, images: list[str]) -> list[Text]:
        if isinstance(content, str):
            return [self._text(content)]
        return [text for part in content or [] for text in self._part(part, images)]

    def _part(self, part: Any, images: list[str]) -> Iterator[Text]:
        if not isinstance(part, dict):
            yield self._text(_pretty(part), is_code=True)
        elif "text" in part:
            yield self._text(str(part["text"]))
        elif "refusal" in part:
            yield self._text(str(part["refusal"]), label="refusal")
        elif part.get("image_url"):
            yield from self._image(str(part["image_url"]), images)
        elif part.get("type") == "input_file":
            name = part.get("filename") or part.get("file_id") or part.get("file_url") or "a file"
            yield self._text(str(name), label="file")
        else:
            yield self._text(_pretty(part), is_code=True)

    def _image(self, url: str, images: list[str]) -> Iterator[Text]:
        # An image elsewhere is named, not fetched: its server would learn who looks at what.
        if not url.startswith("data:image/") or url.startswith("data:image/svg"):
            yield self._text(url, label="image")
        elif self._is_masked or len(url) > MAX_IMAGE_CHARS:
            yield self._text(f"{len(url):,} characters", label="image")
        else:
            images.append(url)

    def _text(self, text: str, *, label: str = "", is_code: bool = False) -> Text:
        number = len(self._whole)
        self._whole.append(text)
        shown = "" if self._is_masked else text[:MAX_SHOWN_CHARS]
        return Text(shown, len(text), number, label, is_code)


def of_exchange(instructions: str | None, given: Sequence[Item], output: Sequence[Item], *, is_masked: bool) -> Thread:
    """What went in and what came out of one response."""
    thread = Thread(is_masked=is_masked)
    thread.add_instructions(instructions)
    return thread.add(given, is_input=True).add(output, is_input=False)


def _pretty(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    return json.dumps(value, indent=2, ensure_ascii=False)
