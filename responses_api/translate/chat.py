"""What a Chat Completions backend says, read leniently: every field that some server omits or nulls may be absent.

Source: the OpenAI API reference, widened by what vLLM, SGLang, Ollama and llama.cpp send.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from responses_api.shapes.response import InputTokensDetails, OutputTokensDetails, Usage


class Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    """A dict where a server forgets to encode them (Ollama's native form)."""


class ToolCall(Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Logprobs(Struct):
    content: list[dict[str, Any]] | None = None


class Message(Struct):
    """A whole message or a stream's delta: the fields are the same."""

    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None

    @property
    def thought(self) -> str:
        """vLLM ≥ 0.10 and OpenRouter say `reasoning`, DeepSeek and SGLang `reasoning_content`."""
        return self.reasoning_content or self.reasoning or ""

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class Choice(Struct):
    message: Message | None = None
    delta: Message | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PromptDetails(Struct):
    cached_tokens: int | None = None


class CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class ChatUsage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    def to_usage(self) -> Usage:
        prompt, completion = self.prompt_tokens or 0, self.completion_tokens or 0
        cached = self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else 0
        reasoning = self.completion_tokens_details.reasoning_tokens if self.completion_tokens_details else 0
        return Usage(
            input_tokens=prompt,
            input_tokens_details=InputTokensDetails(cached or 0),
            output_tokens=completion,
            output_tokens_details=OutputTokensDetails(reasoning or 0),
            total_tokens=self.total_tokens or prompt + completion,
        )


class Completion(Struct):
    """A whole answer or one chunk of a stream; `error` where a server reports a failure under status 200."""

    choices: list[Choice] | None = None
    usage: ChatUsage | None = None
    service_tier: str | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(Completion)


def decode_completion(data: bytes) -> Completion:
    """Raises `msgspec.DecodeError` or `UnicodeDecodeError` for bytes that are no completion."""
    return _decoder.decode(data)


def encode_arguments(arguments: str | dict[str, Any] | None) -> str:
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return arguments or ""


def to_logprobs(logprobs: Logprobs | None) -> list[dict[str, Any]]:
    """Entries with the keys the Responses API requires; `bytes` are computed where a backend leaves them out."""
    if logprobs is None or not logprobs.content:
        return []
    return [
        {**_logprob(entry), "top_logprobs": [_logprob(top) for top in entry.get("top_logprobs") or ()]}
        for entry in logprobs.content
    ]


def _logprob(entry: dict[str, Any]) -> dict[str, Any]:
    token = str(entry.get("token", ""))
    spelled = entry.get("bytes")
    return {
        "token": token,
        "logprob": entry.get("logprob", 0.0),
        "bytes": list(token.encode("utf-8", "replace")) if spelled is None else spelled,
    }


def error_message(error: Any) -> str:
    """The words in a backend's error, whatever its shape; at most 500 characters."""
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return (error if isinstance(error, str) else msgspec.json.encode(error).decode())[:500]
