"""Answer → `chat.completion` JSON, or the frames of a `chat.completion.chunk` stream. Pure.

Shapes: OpenAI API reference, Chat → completion object and chunk object; `reasoning_content` as vLLM and
DeepSeek spell it. Text frames are joined from bytes encoded once per text: a benchmark streams the same one
thousands of times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from responses_api.demo_backend.answers import Answer, Pieces
from responses_api.demo_backend.chat_request import ChatRequest
from responses_api.demo_backend.script import Steps
from responses_api.demo_backend.tool_calls import ToolCall

# A fixed second keeps every answer reproducible to the byte.
CREATED = 1_767_225_600
DONE = b"data: [DONE]\n\n"

Delta = dict[str, Any]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Identity:
    """What every chunk of one answer repeats."""

    id: str
    model: str

    def opening(self, kind: str) -> bytes:
        return b'{"id":%b,"object":%b,"created":%d,"model":%b,"system_fingerprint":"fp_demo",' % (
            _encode(self.id),
            _encode(kind),
            CREATED,
            _encode(self.model),
        )


def completion(identity: Identity, request: ChatRequest, said: Answer, usage: dict[str, Any], steps: Steps) -> bytes:
    """The whole answer as one `chat.completion` document."""
    choice = {
        "index": 0,
        "message": _message(said, steps),
        "logprobs": _logprobs(request, said.pieces),
        "finish_reason": said.finish_reason,
    }
    rest: dict[str, Any] = {"choices": [choice]}
    if steps.usage_placement != "none":
        rest["usage"] = usage
    return identity.opening("chat.completion") + _encode(rest)[1:]


def frames(identity: Identity, request: ChatRequest, said: Answer, usage: dict[str, Any], steps: Steps) -> list[bytes]:
    """The whole answer as server-sent events, `[DONE]` included; each frame ends with a blank line."""
    shape = _Shape(identity, request, usage, steps)
    made = [shape.frame(_choice({"role": "assistant", "content": None if steps.null_content else ""}))]
    if steps.empty_choices_first:
        made.insert(0, shape.frame(b""))
    made += [shape.frame(choice) for choice in _choices(request, said, steps)]
    made.append(shape.last_frame(_choice(_dressed({}, steps), finish_reason=said.finish_reason)))
    made += shape.usage_frames()
    if not steps.no_done:
        made.append(DONE)
    return made


class _Shape:
    """The bytes around the choices of one stream, by where the script puts the usage."""

    def __init__(self, identity: Identity, request: ChatRequest, usage: dict[str, Any], steps: Steps) -> None:
        # Told explicitly, usage is sent to clients that did not ask for it, as some backends do.
        self._placement = steps.usage_placement or ("own" if request.include_usage else "none")
        self._usage = b',"usage":' + _encode(usage)
        self._opening = b"data: " + identity.opening("chat.completion.chunk")
        self._tail = self._tail_of_most()

    def frame(self, choice: bytes) -> bytes:
        return b"%b%b%b%b" % (self._opening, b'"choices":[', choice, self._tail)

    def last_frame(self, choice: bytes) -> bytes:
        tail = b"]" + self._usage + b"}\n\n" if self._placement in ("finish", "every") else self._tail
        return self._opening + b'"choices":[' + choice + tail

    def usage_frames(self) -> list[bytes]:
        if self._placement == "own":
            return [self._opening + b'"choices":[]' + self._usage + b"}\n\n"]
        if self._placement == "no_choices":
            return [self._opening + self._usage[1:] + b"}\n\n"]
        return []

    def _tail_of_most(self) -> bytes:
        if self._placement == "every":
            return b"]" + self._usage + b"}\n\n"
        return b"]}\n\n" if self._placement == "none" else b'],"usage":null}\n\n'


def _choices(request: ChatRequest, said: Answer, steps: Steps) -> Iterator[bytes]:
    field = steps.reasoning_field or "reasoning_content"
    yield from (_choice(_dressed({field: piece}, steps)) for piece in said.reasoning)
    yield from _text_choices(request, said, steps)
    yield from (_choice(_dressed({"tool_calls": calls}, steps)) for calls in _call_deltas(said.calls, steps))


def _text_choices(request: ChatRequest, said: Answer, steps: Steps) -> tuple[bytes, ...]:
    field = "refusal" if said.refused else "content"
    if not (request.logprobs or steps.repeat_role or steps.null_content):
        return _plain_choices(said.pieces, field)
    return tuple(
        _choice(_dressed({field: piece}, steps), _logprobs(request, (piece,), nth))
        for nth, piece in enumerate(said.pieces)
    )


@lru_cache(maxsize=64)
def _plain_choices(pieces: Pieces, field: str) -> tuple[bytes, ...]:
    return tuple(_choice({field: piece}) for piece in pieces)


def _choice(delta: Delta, logprobs: Delta | None = None, finish_reason: str | None = None) -> bytes:
    return _encode({"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason})


def _dressed(delta: Delta, steps: Steps) -> Delta:
    """`delta` with the habits of some backends: `role` each time, `content: null` where there is no text."""
    role = {"role": "assistant"} if steps.repeat_role else {}
    content = {"content": None} if steps.null_content and "content" not in delta else {}
    return {**role, **content, **delta}


def _call_deltas(calls: tuple[ToolCall, ...], steps: Steps) -> Iterator[list[Delta]]:
    deltas = [delta for index, call in enumerate(calls) for delta in _one_call(index, call)]
    if steps.calls_without_index:
        deltas = [{name: value for name, value in delta.items() if name != "index"} for delta in deltas]
    if steps.calls_in_one_chunk and deltas:
        yield deltas
    else:
        yield from ([delta] for delta in deltas)


def _one_call(index: int, call: ToolCall) -> Iterator[Delta]:
    opening = {"name": call.name, "arguments": ""}
    yield {"index": index, "id": call.id, "type": "function", "function": opening}
    yield from ({"index": index, "function": {"arguments": piece}} for piece in call.pieces)


def _message(said: Answer, steps: Steps) -> dict[str, Any]:
    text = "".join(said.pieces)
    silent = said.refused or steps.null_content or (said.calls and not text)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if silent else text,
        "refusal": text if said.refused else None,
    }
    if said.reasoning:
        message[steps.reasoning_field or "reasoning_content"] = "".join(said.reasoning)
    if said.calls:
        message["tool_calls"] = [_whole_call(call) for call in said.calls]
    return message


def _whole_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _logprobs(request: ChatRequest, pieces: Pieces, first: int = 0) -> dict[str, Any] | None:
    if not request.logprobs:
        return None
    alternatives = request.top_logprobs or 0
    entries = [_logprob(piece, nth, alternatives) for nth, piece in enumerate(pieces, start=first)]
    return {"content": entries, "refusal": None}


def _logprob(piece: str, nth: int, alternatives: int) -> dict[str, Any]:
    """Piece `nth` at -0.01 … -0.10, by turns; the alternatives are the piece itself, then made-up ones."""
    likely = -(nth % 10 + 1) / 100
    top = [_token(piece if rank == 0 else f"{piece}~{rank}", likely - rank) for rank in range(alternatives)]
    return {**_token(piece, likely), "top_logprobs": top}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
