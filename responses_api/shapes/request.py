"""The body of `POST /v1/responses`, as the OpenAI API reference and Open Responses 2026-04-24 define it.

Types and limits live here; the state behind ids is checked by the engine.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from responses_api.errors import InvalidRequest, MissingParameter, UnsupportedParameter
from responses_api.shapes.ids import ItemIds, is_id, new_id
from responses_api.shapes.items import Item, ItemView, parse_input, view
from responses_api.shapes.tools import Tool, ToolChoice, parse_tool_choice, parse_tools
from responses_api.shapes.validation import decode, decode_any, invalid_type

Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
INCLUDABLE: tuple[str, ...] = get_args(Include)
# Backends read integers as 32 bits; larger ones are a client's mistake.
MAX_INT = 2**31 - 1
Count = Annotated[int, Meta(ge=1, le=MAX_INT)]

MOVED_FROM_CHAT = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]


class TextFormat(Struct, tag="text"):
    pass


class JsonObjectFormat(Struct, tag="json_object"):
    pass


class JsonSchemaFormat(Struct, tag="json_schema", omit_defaults=True):
    name: Name
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


Format = TextFormat | JsonObjectFormat | JsonSchemaFormat


class TextConfig(Struct, omit_defaults=True):
    format: Format | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(Struct):
    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class StreamOptions(Struct):
    include_obfuscation: bool | None = None


class Compaction(Struct, tag="compaction"):
    """Compact the history once it counts `compact_threshold` tokens; None: the gateway's default."""

    compact_threshold: Annotated[int, Meta(ge=1000, le=MAX_INT)] | None = None


Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]


class CreateParams(Struct, kw_only=True):
    """The fields this version knows, by their wire names; `None` and absent mean the API's default."""

    model: str | None = None
    input: str | list[msgspec.Raw] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    include: list[Include] | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Count | None = None
    max_output_tokens: Annotated[int, Meta(ge=16, le=MAX_INT)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    truncation: Literal["auto", "disabled"] | None = None
    context_management: Annotated[list[Compaction], Meta(min_length=1)] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None
    safety_identifier: Annotated[str, Meta(max_length=128)] | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=128)] | None = None
    prompt: dict[str, Any] | None = None
    user: str | None = None


KNOWN_FIELDS = frozenset(CreateParams.__struct_fields__)
_SOURCES_OF_INPUT = frozenset({"input", "previous_response_id", "prompt", "conversation"})


class CreateRequest(Struct):
    """A checked request: `params` as sent, with the fields that need parsing beside them.

    `items` are the input as it is stored, `views` the same as translation reads it. `fields` is the body, field by
    field; `extra` are those unknown here, which the backend gets as they came.
    """

    response_id: str
    params: CreateParams
    model: str
    items: list[Item]
    views: list[ItemView]
    tools: list[Tool]
    tool_choice: ToolChoice
    conversation_id: str | None
    fields: dict[str, msgspec.Raw]
    extra: dict[str, Any]
    served_as: str = ""
    """What backends call the model, where that is another name."""

    @property
    def store(self) -> bool:
        return self.params.store is not False

    @property
    def has_references(self) -> bool:
        return any(item["type"] == "item_reference" for item in self.items)

    @property
    def wants_logprobs(self) -> bool:
        return "message.output_text.logprobs" in (self.params.include or ())

    @property
    def wants_encrypted_reasoning(self) -> bool:
        return "reasoning.encrypted_content" in (self.params.include or ())

    @property
    def wants_obfuscation(self) -> bool:
        options = self.params.stream_options
        return options is not None and bool(options.include_obfuscation)


def parse_create_request(body: bytes, response_id: str | None = None) -> CreateRequest:
    """The body of a create, checked. Raises `InvalidRequest` in the order the live API checks: model, input, fields.

    With the `response_id` of an earlier parse the items get the ids they had then.
    """
    fields = decode(body, dict[str, msgspec.Raw])
    if "model" not in fields:
        raise MissingParameter("model")
    if _SOURCES_OF_INPUT.isdisjoint(fields):
        raise MissingParameter("input")
    params = decode(body, CreateParams)
    if not params.model:
        raise MissingParameter("model")
    extra = {} if fields.keys() <= KNOWN_FIELDS else {name: fields[name] for name in fields.keys() - KNOWN_FIELDS}
    _refuse_unsupported(params, extra)
    response_id = response_id or new_id("resp")
    tools = parse_tools(params.tools)
    items = parse_input(params.input, ItemIds(response_id))
    conversation_id = parse_conversation(params.conversation)
    if not items and not params.previous_response_id and not conversation_id:
        raise InvalidRequest(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
            code="missing_required_parameter",
        )
    return CreateRequest(
        response_id=response_id,
        params=params,
        model=params.model,
        items=items,
        views=view(items),
        tools=tools,
        tool_choice=parse_tool_choice(params.tool_choice, tools),
        conversation_id=conversation_id,
        fields=fields,
        extra={name: decode_any(raw, name) for name, raw in extra.items()},
    )


def parse_conversation(conversation: str | dict[str, Any] | None) -> str | None:
    """`"conv_…"` or `{"id": "conv_…"}` → the id. Raises `InvalidRequest`."""
    if isinstance(conversation, dict):
        if "id" not in conversation:
            raise MissingParameter("conversation.id")
        conversation = conversation["id"]
        if not isinstance(conversation, str):
            raise invalid_type("a string", conversation, "conversation.id")
    if conversation is not None and not is_id(conversation, "conv"):
        raise InvalidRequest(
            f"Invalid 'conversation': '{conversation[:100]}'. Expected an ID that begins with 'conv_'.",
            code="invalid_value",
            param="conversation",
        )
    return conversation


def _refuse_unsupported(params: CreateParams, extra: dict[str, msgspec.Raw]) -> None:
    for chat_name, moved_to in MOVED_FROM_CHAT.items():
        if chat_name in extra:
            raise UnsupportedParameter(
                f"Unsupported parameter: '{chat_name}'. In the Responses API, this parameter has moved to "
                f"'{moved_to}'.",
                chat_name,
            )
    if params.stream_options is not None and not params.stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if params.previous_response_id and params.conversation:
        raise conflicting_history()
    if params.background and params.store is False:
        raise UnsupportedParameter(
            "Background mode requires 'store' to be true; stateless requests are rejected.", "background"
        )
    if params.prompt:
        raise UnsupportedParameter(
            "Prompt templates are not supported by this gateway: send the prompt's text as 'instructions' or 'input'.",
            "prompt",
        )


def conflicting_history() -> InvalidRequest:
    """For `previous_response_id` beside `conversation`."""
    # Verbatim, with the empty name and the truncation: clients match on it.
    return InvalidRequest(
        "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'.",
        code="mutually_exclusive_parameters",
    )
