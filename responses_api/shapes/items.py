"""Items: what a conversation consists of.

An item travels as a plain dict, as the client or the backend wrote it, so that fields unknown here survive storage;
the shapes below check the fields that matter (Open Responses 2026-04-24, `ItemParam`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from responses_api.errors import InvalidRequest
from responses_api.shapes.ids import ItemIds
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


class Compaction(Struct):
    """A summary of what came before, sealed by whoever made it."""

    encrypted_content: Annotated[str, Meta(min_length=1)]
    id: str | None = None


class ItemReference(Struct):
    """Stands for an item that is stored already."""

    id: Annotated[str, Meta(min_length=1)]


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
    encrypted_content: str = ""


class _Head(Struct):
    """Enough of an item to know what it is. Without `type` it is a message, or with an id alone a reference."""

    type: str | None = None
    role: str | None = None
    id: str | None = None


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
    "compaction": Compaction,
    "item_reference": ItemReference,
}
HOSTED_KINDS = frozenset(
    {
        "additional_tools",
        "apply_patch_call",
        "apply_patch_call_output",
        "code_interpreter_call",
        "compaction_trigger",
        "computer_call",
        "computer_call_output",
        "configuration_update",
        "custom_tool_call",
        "custom_tool_call_output",
        "file_search_call",
        "image_generation_call",
        "local_shell_call",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    }
)
"""Items that only a backend which speaks the Responses API itself can read; it also checks their fields."""
_ID_PREFIX = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fc",
    "reasoning": "rs",
    "compaction": "cmp",
}
_WITH_STATUS = ("message", "function_call", "function_call_output")


def parse_input(value: str | list[msgspec.Raw] | None, ids: ItemIds) -> list[Item]:
    """The request's `input` as items with ids and content in parts. Raises `InvalidRequest` that names the part."""
    if value is None:
        return []
    if isinstance(value, str):
        return [text_message("user", value, ids)]
    return parse_items(value, ids, "input")


def parse_items(raws: list[msgspec.Raw], ids: ItemIds, path: str) -> list[Item]:
    """Items with ids and content in parts; `path` is where they stand. Raises `InvalidRequest` that names the part."""
    return [_parse_item(raw, ids, f"{path}[{index}]") for index, raw in enumerate(raws)]


_encoder = msgspec.json.Encoder()


def view(items: list[Item]) -> list[ItemView]:
    """Raises `InvalidRequest` for a field that its item has no use for, and that is not what its name says."""
    return [
        ItemView(item["type"])
        if item["type"] in HOSTED_KINDS
        else decode(_encoder.encode(item), ItemView, f"input[{index}]")
        for index, item in enumerate(items)
    ]


class _Kind(Struct):
    type: str = ""


_views_decoder = msgspec.json.Decoder(list[ItemView])
_raws_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_view_decoder = msgspec.json.Decoder(ItemView)
_kind_decoder = msgspec.json.Decoder(_Kind)


def view_stored(items_json: bytes | msgspec.Raw) -> list[ItemView]:
    """The views of a JSON array of items. Raises `msgspec.DecodeError` for one that is none.

    A hosted item's fields are whatever its backend makes of them: of it only the type is seen.
    """
    try:
        return _views_decoder.decode(items_json)
    except msgspec.ValidationError:
        raws = _raws_decoder.decode(items_json)
        kinds = [_kind_decoder.decode(raw).type for raw in raws]
        return [
            ItemView(kind) if kind in HOSTED_KINDS else _view_decoder.decode(raw)
            for raw, kind in zip(raws, kinds, strict=True)
        ]


def text_message(role: str, text: str, ids: ItemIds) -> Item:
    """A whole message of one text part; the part's type follows from who speaks."""
    return {
        "id": ids.new("msg"),
        "type": "message",
        "role": role,
        "status": "completed",
        "content": [_text_part(role, text)],
    }


def _text_part(role: str, text: str) -> Item:
    if role == "assistant":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": text}


def _parse_item(raw: msgspec.Raw, ids: ItemIds, path: str) -> Item:
    head = decode(raw, _Head, path)
    kind = head.type or ("item_reference" if head.role is None and head.id else "message")
    shape = _shape(kind, head.role, path)
    if shape is not None:
        decode(raw, shape, path)
    item: Item = decode_any(raw, path)
    item["type"] = kind
    if not item.get("id"):
        item["id"] = ids.new(_ID_PREFIX.get(kind, "item"))
    if item.get("status") is None and kind in _WITH_STATUS:
        item["status"] = "completed"
    if kind == "message":
        _normalise_message(item, path)
    # Open Responses allows these to be absent, not null.
    for optional in ("phase", "encrypted_content", "content", "name"):
        if item.get(optional, "") is None:
            del item[optional]
    return item


def _shape(kind: str, role: str | None, path: str) -> type[Struct] | None:
    """None for a hosted kind."""
    if kind == "message":
        shape = _MESSAGES.get(role or "")
        if shape is None:
            raise invalid_value(role, sorted(_MESSAGES), f"{path}.role")
        return shape
    shape = _OTHERS.get(kind)
    if shape is None and kind not in HOSTED_KINDS:
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
