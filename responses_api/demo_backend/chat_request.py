"""A Chat Completions request, as far as this server looks at it (OpenAI API reference, Chat → create)."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from responses_api.demo_backend.script import Steps

Shape = TypeVar("Shape")


class RequestError(Exception):
    """Ends a call with `status` and an OpenAI-shaped error body."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}


class Part(Struct):
    type: str = ""
    text: str | None = None


class Message(Struct):
    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content if part.text)
        return self.content or ""

    @property
    def parts(self) -> list[Part]:
        return self.content if isinstance(self.content, list) else []


class Function(Struct):
    name: str
    parameters: dict[str, Any] | None = None


class Tool(Struct):
    type: str = "function"
    function: Function | None = None


class StreamOptions(Struct):
    include_usage: bool = False


class ChatRequest(Struct):
    model: str | None = None
    messages: list[Message] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    demo_script: Steps | None = None

    @property
    def said(self) -> list[Message]:
        return self.messages or []

    @property
    def prompt(self) -> str:
        """The text of the last user message, "" without one."""
        return next((message.text for message in reversed(self.said) if message.role == "user"), "")

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


_decoder = msgspec.json.Decoder(ChatRequest)


def decode_body(decoder: msgspec.json.Decoder[Shape], body: bytes) -> Shape:
    """Raises `RequestError`: 400 for what is no JSON, or not of that shape."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError(400, f"Invalid request: {error}") from error
    except msgspec.DecodeError as error:
        raise RequestError(400, f"We could not parse the JSON body of your request: {error}") from error


def parse_request(body: bytes) -> ChatRequest:
    """Raises `RequestError`: 400 for what is not a chat request, 404 for the model `missing-model`."""
    request = decode_body(_decoder, body)
    if not request.model:
        raise RequestError(400, "you must provide a model parameter", param="model")
    if not request.messages:
        raise RequestError(
            400,
            "Missing required parameter: 'messages'.",
            code="missing_required_parameter",
            param="messages",
        )
    if request.model == "missing-model":
        raise RequestError(404, "The model `missing-model` does not exist.", code="model_not_found", param="model")
    return request
