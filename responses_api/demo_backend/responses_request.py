"""A Responses request as a server that keeps nothing takes it (OpenAI API reference, Responses → create).

What to say is decided as for a chat: the items become messages.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from responses_api.demo_backend.chat_request import (
    ChatRequest,
    Function,
    Message,
    Part,
    RequestError,
    Tool,
    decode_body,
)
from responses_api.demo_backend.script import Steps

_WEB_SEARCH = ("web_search", "web_search_preview")
_PART_TYPES = {"input_text": "text", "output_text": "text", "input_image": "image_url", "input_file": "file"}


class ResponsesRequest(Struct):
    model: str | None = None
    input: str | list[dict[str, Any]] = ""
    instructions: str | None = None
    previous_response_id: str | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    include: list[str] | None = None
    demo_script: Steps | None = None

    def as_chat(self) -> ChatRequest:
        """The same, as far as it matters to what is said."""
        return ChatRequest(
            model=self.model,
            messages=self._messages(),
            stream=self.stream,
            tools=[_function(tool) for tool in self.tools or () if tool.get("type") == "function"] or None,
            tool_choice=_choice(self.tool_choice),
            parallel_tool_calls=self.parallel_tool_calls,
            max_completion_tokens=self.max_output_tokens,
            response_format=_response_format((self.text or {}).get("format") or {}),
            reasoning_effort=(self.reasoning or {}).get("effort"),
            demo_script=self.demo_script,
        )

    def searches(self, prompt: str) -> bool:
        """Does this request lead to a search of the web?"""
        if not any(tool.get("type") in _WEB_SEARCH for tool in self.tools or ()):
            return False
        chosen = isinstance(self.tool_choice, dict) and self.tool_choice.get("type") in _WEB_SEARCH
        return chosen or "search" in prompt.lower()

    def includes(self, what: str) -> bool:
        return what in (self.include or ())

    def _messages(self) -> list[Message]:
        items = [{"role": "user", "content": self.input}] if isinstance(self.input, str) else self.input
        said = [message for item in items if (message := _message(item)) is not None]
        return [Message("system", self.instructions), *said] if self.instructions else said


_decoder = msgspec.json.Decoder(ResponsesRequest)


def parse_responses_request(body: bytes) -> ResponsesRequest:
    """Raises `RequestError`, also for hosted tools that are not here and for state that was never kept."""
    request = decode_body(_decoder, body)
    if not request.model:
        raise RequestError(400, "you must provide a model parameter", param="model")
    if request.previous_response_id:
        raise RequestError(404, f"Response with id '{request.previous_response_id}' not found.", code="not_found")
    for tool in request.tools or ():
        if tool.get("type") not in ("function", *_WEB_SEARCH):
            raise RequestError(400, f"Hosted tool '{tool.get('type')}' is not supported by this model.", param="tools")
    if not request.input:
        raise RequestError(400, "Missing required parameter: 'input'.", param="input")
    return request


def _message(item: dict[str, Any]) -> Message | None:
    kind = item.get("type", "message")
    if kind == "message":
        content = item.get("content")
        return Message(str(item.get("role")), content if isinstance(content, str) else _parts(content or ()))
    if kind == "function_call":
        return Message("assistant", "")
    if kind == "function_call_output":
        output = item.get("output")
        return Message("tool", output if isinstance(output, str) else _parts(output or ()))
    if kind.endswith("_call") and not item.get("id"):
        raise RequestError(400, f"Missing required parameter: 'input[].id' of a {kind}.", param="input")
    return None


def _parts(content: Any) -> list[Part]:
    return [Part(_PART_TYPES.get(part.get("type"), part.get("type")), part.get("text")) for part in content]


def _function(tool: dict[str, Any]) -> Tool:
    return Tool(function=Function(str(tool.get("name")), tool.get("parameters")))


def _choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice if isinstance(choice, str) else None


def _response_format(wanted: dict[str, Any]) -> dict[str, Any] | None:
    if wanted.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {"schema": wanted.get("schema")}}
    return wanted if wanted.get("type") == "json_object" else None
