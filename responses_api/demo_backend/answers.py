"""Request and script → what to say: text in pieces, reasoning, a refusal, tool calls, usage. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import msgspec

from responses_api.demo_backend import small_talk
from responses_api.demo_backend.chat_request import ChatRequest
from responses_api.demo_backend.schema_values import capitalised_words, value_for
from responses_api.demo_backend.script import Steps
from responses_api.demo_backend.tool_calls import (
    DEFAULT_ARGUMENT_CHARS,
    ToolCall,
    choose_calls,
    scripted_calls,
)

_REFUSAL = "I can't help with that."
_PIECE = re.compile(r"\s*\S+|\s+")

Pieces = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """`pieces` is the text as a stream cuts it; with `refused` it is the refusal instead."""

    pieces: Pieces = ()
    refused: bool = False
    reasoning: Pieces = ()
    calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"

    @property
    def tokens(self) -> int:
        return len(self.reasoning) + len(self.pieces) + sum(len(call.pieces) for call in self.calls)


def answer(request: ChatRequest, steps: Steps) -> Answer:
    """What to say to `request`, whose messages are present; `steps` come before its own ideas."""
    said = _scripted(request, steps) or _own_idea(request, steps)
    reasoning = _reasoning(request, steps)
    limited = _limited(replace(said, reasoning=reasoning) if reasoning else said, request.token_limit)
    return replace(limited, finish_reason=steps.finish_reason) if steps.finish_reason else limited


def usage(request: ChatRequest, said: Answer) -> dict[str, Any]:
    """Words of the messages and pieces of the answer; all but the newest message counts as cached.

    Shape: OpenAI API reference, Chat → completion object → `usage`.
    """
    words = [len(message.text.split()) for message in request.said]
    prompt = sum(words)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said.tokens,
        "total_tokens": prompt + said.tokens,
        "prompt_tokens_details": {"cached_tokens": prompt - words[-1]},
        "completion_tokens_details": {"reasoning_tokens": len(said.reasoning)},
    }


@lru_cache(maxsize=256)
def in_pieces(text: str) -> Pieces:
    """`text` word by word, each with the space before it; joined they are `text` again."""
    return tuple(_PIECE.findall(text))


@lru_cache(maxsize=64)
def filler(answer_bytes: int | None, tokens: int | None) -> Pieces:
    """ASCII text of `answer_bytes` bytes, of `tokens` pieces, or both; "word " repeated, cut to measure."""
    if answer_bytes is None:
        return ("word ",) * (tokens or 0)
    text = ("word " * (answer_bytes // 5 + 1))[:answer_bytes]
    if tokens is None:
        return tuple(_PIECE.findall(text))
    size, longer = divmod(answer_bytes, max(tokens, 1))
    ends = [size * nth + min(nth, longer) for nth in range(tokens + 1)]
    return tuple(text[start:end] for start, end in pairwise(ends))


def _scripted(request: ChatRequest, steps: Steps) -> Answer | None:
    pieces = _scripted_pieces(steps)
    if steps.tool_calls is not None:
        calls = scripted_calls(steps.tool_calls, len(request.said), _argument_chars(steps))
        return Answer(pieces or (), calls=calls, finish_reason="tool_calls")
    if steps.refusal is not None:
        return Answer(in_pieces(steps.refusal), refused=True)
    return None if pieces is None else Answer(pieces)


def _scripted_pieces(steps: Steps) -> Pieces | None:
    if steps.pieces is not None:
        return tuple(steps.pieces)
    if steps.text is not None:
        return in_pieces(steps.text)
    if steps.answer_bytes is not None or steps.tokens is not None:
        return filler(steps.answer_bytes, steps.tokens)
    return None


def _own_idea(request: ChatRequest, steps: Steps) -> Answer:
    if request.said[-1].role != "tool":
        if "refuse" in request.prompt.lower():
            return Answer(in_pieces(_REFUSAL), refused=True)
        if calls := choose_calls(request, _argument_chars(steps)):
            return Answer(calls=calls, finish_reason="tool_calls")
    document = _document(request)
    return Answer(in_pieces(small_talk.reply(request.said) if document is None else document))


def _document(request: ChatRequest) -> str | None:
    """The JSON `response_format` wants, None for plain text; spaced, so that a stream has words to cut."""
    wanted = request.response_format or {}
    if wanted.get("type") == "json_object":
        value: Any = {"answer": small_talk.reply(request.said)}
    elif wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or {}
        value = value_for(schema, capitalised_words(request.prompt))
    else:
        return None
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def _reasoning(request: ChatRequest, steps: Steps) -> Pieces:
    if steps.reasoning is not None:
        return in_pieces(steps.reasoning)
    if request.reasoning_effort in (None, "none"):
        return ()
    return in_pieces(f"I think with {request.reasoning_effort} effort about {len(request.said)} messages.")


def _limited(said: Answer, limit: int | None) -> Answer:
    """Cuts reasoning, then text, to `limit` pieces; tool calls stay whole, a half one helps nobody."""
    if limit is None or said.calls or said.tokens <= limit:
        return said
    reasoning = said.reasoning[:limit]
    return replace(said, reasoning=reasoning, pieces=said.pieces[: limit - len(reasoning)], finish_reason="length")


def _argument_chars(steps: Steps) -> int:
    return steps.argument_chars or DEFAULT_ARGUMENT_CHARS
