"""Items: what a conversation consists of.

An item travels as a plain dict, as the client or the backend wrote it, so that fields unknown here survive storage;
the shapes below check the fields that matter (Open Responses 2026-04-24, `ItemParam`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from responses_api.errors import InvalidRequest
from responses_api.shapes.ids import new_id
from responses_api.shapes.validation import decode, decode_any, invalid_value

Item = dict[str, Any]
Status = Literal["in_progress", "completed", "incomplete"] | None
CallId = Annotated[str, Meta(min_length=1, max_length=64)]


class InputText(Struct, tag="input_text"):
    text: str


class InputImage(Struct, tag="input_image"):
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["low", "high", "auto", "original"] | None = None


class InputFile(Struct, tag="input_file"):
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None


class AudioData(Struct):
    data: str
    format: str


class InputAudio(Struct, tag="input_audio"):
    input_audio: AudioData


class OutputText(Struct, tag="output_text"):
    text: str


class Refusal(Struct, tag="refusal"):
    refusal: str


class SummaryText(Struct, tag="summary_text"):
    text: str


class ReasoningText(Struct, tag="reasoning_text"):
    text: str


class UserMessage(Struct):
    content: str | list[InputText | InputImage | InputFile | InputAudio]
    id: str | None = None
    status: Status = None


class SystemMessage(Struct):
    content: str | list[InputText]
    id: str | None = None
    status: Status = None


class AssistantMessage(Struct):
    content: str | list[OutputText | Refusal]
    id: str | None = None
    status: Status = None
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCall(Struct):
    call_id: CallId
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    arguments: str
    id: str | None = None
    status: Status = None


class FunctionCallOutput(Struct):
    call_id: CallId
    output: str | list[InputText | InputImage | InputFile]
    id: str | None = None
    status: Status = None


class Reasoning(Struct):
    summary: list[SummaryText]
    id: str | None = None
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


EMPTY_TEXT = msgspec.Raw(b'""')


class PartView(Struct, gc=False):
    """A content part as translation reads it.

    `text` stays JSON: most of a chain is text that goes on as it came, neither unescaped nor escaped again.
    """

    type: str
    text: msgspec.Raw = EMPTY_TEXT
    refusal: str = ""
    image_url: str | None = None
    detail: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    input_audio: dict[str, Any] | None = None


class ItemView(Struct, gc=False):
    """An item as translation reads it. Chains are decoded to these: dicts of all that items carry cost twice."""

    type: str
    role: str = ""
    content: list[PartView] | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str | list[PartView] = ""


class _Head(Struct):
    """Enough of an item to know what it is. `type` may be absent: then it is a message."""

    type: str | None = None
    role: str | None = None


_MESSAGES: dict[str, type[Struct]] = {
    "user": UserMessage,
    "system": SystemMessage,
    "developer": SystemMessage,
    "assistant": AssistantMessage,
}
_OTHERS: dict[str, type[Struct]] = {
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
    "reasoning": Reasoning,
}
_ID_PREFIX = {"message": "msg", "function_call": "fc", "function_call_output": "fc", "reasoning": "rs"}


def parse_input(value: str | list[msgspec.Raw] | None) -> list[Item]:
    """The request's `input` as items with ids and content in parts. Raises `InvalidRequest` that names the part."""
    if value is None:
        return []
    if isinstance(value, str):
        return [text_message("user", value)]
    return [_parse_item(raw, f"input[{index}]") for index, raw in enumerate(value)]


_encoder = msgspec.json.Encoder()


def view(items: list[Item]) -> list[ItemView]:
    """Raises `InvalidRequest` for a field that its item has no use for, and that is not what its name says."""
    return [decode(_encoder.encode(item), ItemView, f"input[{index}]") for index, item in enumerate(items)]


def text_message(role: str, text: str) -> Item:
    """A whole message of one text part; the part's type follows from who speaks."""
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": role,
        "status": "completed",
        "content": [_text_part(role, text)],
    }


def _text_part(role: str, text: str) -> Item:
    if role == "assistant":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": text}


def _parse_item(raw: msgspec.Raw, path: str) -> Item:
    head = decode(raw, _Head, path)
    kind = head.type or "message"
    decode(raw, _shape(kind, head.role, path), path)
    item: Item = decode_any(raw, path)
    item["type"] = kind
    if not item.get("id"):
        item["id"] = new_id(_ID_PREFIX[kind])
    if item.get("status") is None and kind != "reasoning":
        item["status"] = "completed"
    if kind == "message":
        _normalise_message(item, path)
    # Open Responses allows these to be absent, not null.
    for optional in ("phase", "encrypted_content", "content"):
        if item.get(optional, "") is None:
            del item[optional]
    return item


def _shape(kind: str, role: str | None, path: str) -> type[Struct]:
    if kind == "message":
        shape = _MESSAGES.get(role or "")
        if shape is None:
            raise invalid_value(role, sorted(_MESSAGES), f"{path}.role")
        return shape
    shape = _OTHERS.get(kind)
    if shape is None:
        raise invalid_value(kind, ["message", *sorted(_OTHERS)], f"{path}.type")
    return shape


def _normalise_message(item: Item, path: str) -> None:
    content = item["content"]
    if isinstance(content, str):
        item["content"] = [_text_part(item["role"], content)]
        return
    for index, part in enumerate(content):
        if part["type"] == "input_image" and not (part.get("image_url") or part.get("file_id")):
            raise InvalidRequest(
                "An image needs 'image_url' (a URL or a data URL).",
                code="missing_required_parameter",
                param=f"{path}.content[{index}].image_url",
            )
        if part["type"] == "input_file" and not (part.get("file_data") or part.get("file_url") or part.get("file_id")):
            raise InvalidRequest(
                "A file needs 'file_data', 'file_url' or 'file_id'.",
                code="missing_required_parameter",
                param=f"{path}.content[{index}].file_data",
            )
