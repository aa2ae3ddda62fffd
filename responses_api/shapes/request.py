"""The body of `POST /v1/responses`, as the OpenAI API reference and Open Responses 2026-04-24 define it.

Types and limits live here; the state behind ids is checked by the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from responses_api.errors import InvalidRequest, MissingParameter, UnsupportedParameter
from responses_api.shapes.items import Item, ItemView, parse_input, view
from responses_api.shapes.tools import Tool, ToolChoice, parse_tool_choice, parse_tools
from responses_api.shapes.validation import decode, decode_any

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
    metadata: Metadata | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None
    safety_identifier: Annotated[str, Meta(max_length=128)] | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=128)] | None = None
    prompt: dict[str, Any] | None = None
    user: str | None = None


KNOWN_FIELDS = frozenset(CreateParams.__struct_fields__)


@dataclass(slots=True)
class CreateRequest:
    """A checked request: `params` as sent, with the fields that need parsing beside them.

    `items` are the input as it is stored, `views` the same as translation reads it.
    `extra` are the fields unknown here; the backend gets them as they came.
    """

    params: CreateParams
    model: str
    items: list[Item]
    views: list[ItemView]
    tools: list[Tool]
    tool_choice: ToolChoice
    extra: dict[str, Any]

    @property
    def store(self) -> bool:
        return self.params.store is not False

    @property
    def wants_logprobs(self) -> bool:
        return "message.output_text.logprobs" in (self.params.include or ())


def parse_create_request(body: bytes) -> CreateRequest:
    """The body of a create, checked. Raises `InvalidRequest` in the order the live API checks: model, input, fields."""
    fields = decode(body, dict[str, msgspec.Raw])
    if "model" not in fields:
        raise MissingParameter("model")
    if not (fields.keys() & {"input", "previous_response_id", "prompt", "conversation"}):
        raise MissingParameter("input")
    params = decode(body, CreateParams)
    if not params.model:
        raise MissingParameter("model")
    extra = {name: fields[name] for name in fields.keys() - KNOWN_FIELDS}
    _refuse_unsupported(params, extra)
    tools = parse_tools(params.tools)
    items = parse_input(params.input)
    if not items and not params.previous_response_id:
        raise InvalidRequest(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
            code="missing_required_parameter",
        )
    return CreateRequest(
        params=params,
        model=params.model,
        items=items,
        views=view(items),
        tools=tools,
        tool_choice=parse_tool_choice(params.tool_choice, tools),
        extra={name: decode_any(raw, name) for name, raw in extra.items()},
    )


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
        # Verbatim, with the empty name and the truncation: clients match on it.
        raise InvalidRequest(
            "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'.",
            code="mutually_exclusive_parameters",
        )
    if params.background and params.store is False:
        raise UnsupportedParameter("Background responses need 'store' to be true.", "background")
    for name in ("background", "conversation", "prompt"):
        if getattr(params, name):
            raise UnsupportedParameter(f"'{name}' is not supported by this version of the gateway.", name)
