"""The response object, its usage and its pieces, as clients receive them.

Every key that OpenAI's or Open Responses' schema requires is always there, with the nullability both accept
(a superset object is safe; a null where Open Responses wants a value is not).
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from responses_api.shapes.items import Item
from responses_api.shapes.request import CreateRequest, Format, TextFormat
from responses_api.shapes.tools import Tool, ToolChoice

Status = Literal["queued", "in_progress", "completed", "failed", "incomplete", "cancelled"]


class InputTokensDetails(Struct):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(Struct):
    reasoning_tokens: int = 0


class Usage(Struct):
    """Token counts as the backend reported them."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int

    def __add__(self, other: Usage) -> Usage:
        one, two = self.input_tokens_details, other.input_tokens_details
        reasoning = self.output_tokens_details.reasoning_tokens + other.output_tokens_details.reasoning_tokens
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            input_tokens_details=InputTokensDetails(
                one.cached_tokens + two.cached_tokens, one.cache_write_tokens + two.cache_write_tokens
            ),
            output_tokens=self.output_tokens + other.output_tokens,
            output_tokens_details=OutputTokensDetails(reasoning),
            total_tokens=self.total_tokens + other.total_tokens,
        )


class ResponseError(Struct):
    code: str
    message: str


class IncompleteDetails(Struct):
    reason: Literal["max_output_tokens", "content_filter"]


class TextEcho(Struct, omit_defaults=True):
    format: Format
    verbosity: str | None = None


class ReasoningEcho(Struct):
    effort: str | None = None
    summary: str | None = None


class ConversationRef(Struct):
    id: str


class Response(Struct, kw_only=True):
    """`created_at` and `completed_at` are whole Unix seconds."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Status
    background: bool = False
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[Item]
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    prompt_cache_retention: None = None
    prompt: None = None
    conversation: ConversationRef | None = None
    reasoning: ReasoningEcho
    safety_identifier: str | None
    service_tier: str
    store: bool
    temperature: float
    text: TextEcho
    tool_choice: ToolChoice
    tools: list[Tool]
    top_logprobs: int
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    truncation: str
    usage: Usage | None = None
    user: str | None
    metadata: dict[str, str]
    truncated_items: int | UnsetType = UNSET
    """How many of the oldest items `truncation: auto` left out; absent where none."""


_encoder = msgspec.json.Encoder()


def encode(response: Response) -> bytes:
    return _encoder.encode(response)


def in_progress(request: CreateRequest, created_at: int, instructions: str | None) -> Response:
    """The response as it stands before the backend has said anything."""
    params = request.params
    text, reasoning = params.text, params.reasoning
    return Response(
        id=request.response_id,
        created_at=created_at,
        status="in_progress",
        background=bool(params.background),
        instructions=instructions,
        max_output_tokens=params.max_output_tokens,
        max_tool_calls=params.max_tool_calls,
        model=request.model,
        output=[],
        parallel_tool_calls=params.parallel_tool_calls is not False,
        previous_response_id=params.previous_response_id,
        conversation=ConversationRef(request.conversation_id) if request.conversation_id else None,
        prompt_cache_key=params.prompt_cache_key,
        reasoning=ReasoningEcho(reasoning.effort, reasoning.summary) if reasoning else ReasoningEcho(),
        safety_identifier=params.safety_identifier,
        # The tier that served, not the one asked for: the backend may tell, and one's own has one tier.
        service_tier="default",
        store=request.store,
        temperature=_given(params.temperature, 1),
        text=TextEcho(
            format=(text.format if text else None) or TextFormat(), verbosity=text.verbosity if text else None
        ),
        tool_choice=request.tool_choice,
        tools=request.tools,
        top_logprobs=params.top_logprobs or 0,
        top_p=_given(params.top_p, 1),
        presence_penalty=_given(params.presence_penalty, 0),
        frequency_penalty=_given(params.frequency_penalty, 0),
        truncation=params.truncation or "disabled",
        user=params.user,
        metadata=params.metadata or {},
    )


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def tail_of(encoded: bytes) -> bytes:
    """A completed response's JSON behind its head: id and times, which differ each time the same is said."""
    return encoded[encoded.index(b',"status":') :]


def with_head(response_id: str, created_at: int, tail: bytes) -> bytes:
    """The JSON of a response created and completed in this second."""
    head = b'{"id":"%b","object":"response","created_at":%d,"completed_at":%d'
    return head % (response_id.encode(), created_at, created_at) + tail


class _Part(Struct):
    type: str
    text: str = ""


class _OutputItem(Struct):
    content: list[_Part] = []


class _Output(Struct):
    output: list[_OutputItem]


_output_decoder = msgspec.json.Decoder(_Output)


def with_output_text(response_json: bytes) -> bytes:
    """The encoded response with a top-level `output_text`, as semantic-router's clients expect it.

    All text of all messages, joined: what the SDK's `response.output_text` computes.
    """
    output = _output_decoder.decode(response_json).output
    text = "".join(part.text for item in output for part in item.content if part.type == "output_text")
    return b'%b,"output_text":%b}' % (response_json[:-1], _encoder.encode(text))
