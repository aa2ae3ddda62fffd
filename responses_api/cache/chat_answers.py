"""Chat Completions answers as the cache keeps them: a stream's chunks → one document, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

_WHOLE = ("stop", "tool_calls", "function_call")
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
_KEPT = ("id", "created", "model", "system_fingerprint", "service_tier")


def unfit_document(document: dict[str, Any]) -> str | None:
    """Why a chat completion is not to be given again; None: it is."""
    choices = document.get("choices")
    if document.get("error") or not isinstance(choices, list) or not choices:
        return "no answer"
    for choice in choices:
        if choice.get("finish_reason") not in _WHOLE:
            return str(choice.get("finish_reason"))
        message = choice.get("message") or {}
        if not any(message.get(name) for name in ("content", "refusal", "tool_calls", "function_call")):
            return "empty"
    return None


def document_of(chunks: Iterable[bytes], usage: dict[str, Any] | None) -> dict[str, Any]:
    """The completion that a stream told. Raises `msgspec.DecodeError`, `KeyError` or `TypeError` for what is none."""
    document: dict[str, Any] = {"object": "chat.completion"}
    choices: dict[int, dict[str, Any]] = {}
    for data in chunks:
        chunk = msgspec.json.decode(data)
        if "error" in chunk:
            return {"error": chunk["error"]}
        document |= {name: chunk[name] for name in _KEPT if chunk.get(name) is not None}
        for told in chunk.get("choices") or ():
            _add(choices.setdefault(told["index"], _new_choice(told["index"])), told)
    document["choices"] = [choices[index] for index in sorted(choices)]
    return document | ({"usage": usage} if usage is not None else {})


def chunks_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks that a document might have come in: the role, all that was said, the reason of its end."""
    head = {name: document[name] for name in _KEPT if name in document} | {"object": "chat.completion.chunk"}
    made = []
    for choice in document["choices"]:
        message, index = choice["message"], choice.get("index", 0)
        said = {name: message[name] for name in _TEXTS if message.get(name)}
        if message.get("tool_calls"):
            said["tool_calls"] = [{"index": place, **call} for place, call in enumerate(message["tool_calls"])]
        deltas: list[tuple[dict[str, Any], Any, Any]] = [
            ({"role": "assistant", "content": ""}, None, None),
            (said, choice.get("logprobs"), None),
            ({}, None, choice["finish_reason"]),
        ]
        made += [
            {**head, "choices": [{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}]}
            for delta, logprobs, reason in deltas
        ]
    return made


def usage_chunk(document: dict[str, Any]) -> dict[str, Any] | None:
    """What a client gets last that asked for the usage."""
    if "usage" not in document:
        return None
    head = {name: document[name] for name in _KEPT if name in document}
    return {**head, "object": "chat.completion.chunk", "choices": [], "usage": document["usage"]}


def _new_choice(index: int) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": None}, "logprobs": None, "finish_reason": None}


def _add(choice: dict[str, Any], told: dict[str, Any]) -> None:
    delta, message = told.get("delta") or {}, choice["message"]
    for name in _TEXTS:
        if delta.get(name):
            message[name] = (message.get(name) or "") + delta[name]
    for call in delta.get("tool_calls") or ():
        _add_call(message.setdefault("tool_calls", []), call)
    if told.get("logprobs"):
        gathered = choice["logprobs"] = choice["logprobs"] or {"content": [], "refusal": None}
        gathered["content"] += told["logprobs"].get("content") or []
    choice["finish_reason"] = told.get("finish_reason") or choice["finish_reason"]


def _add_call(calls: list[dict[str, Any]], told: dict[str, Any]) -> None:
    function = told.get("function") or {}
    place = told.get("index")
    if place is None:
        # Some backends number nothing: what has a name begins a call, what has none goes on with the last.
        place = len(calls) if function.get("name") else len(calls) - 1
    while len(calls) <= place:
        calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[place]
    call["id"] = told.get("id") or call["id"]
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""
