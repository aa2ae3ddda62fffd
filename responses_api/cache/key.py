"""Request → what it asks, in one spelling, and the digest of that. Pure.

Everything counts but an allow-list of what cannot change the answer. Two requests share an entry only where these
bytes are equal: the digest finds the entry, the bytes prove it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

Family = Literal["responses", "chat", "completions", "embeddings"]

POLICY_VERSION = 1
"""Raised whenever what is recorded, or what counts, changes: older entries are then found no more."""

IRRELEVANT: Mapping[Family, frozenset[str]] = {
    "responses": frozenset(
        {"metadata", "user", "safety_identifier", "store", "stream", "stream_options", "service_tier", "background"}
    ),
    "chat": frozenset({"metadata", "user", "safety_identifier", "store", "stream", "stream_options", "service_tier"}),
    # Of these a stream and a document are kept apart.
    "completions": frozenset({"user"}),
    "embeddings": frozenset({"user"}),
}
"""What a request says of its client, of how it wants its answer brought, and of what is kept."""

HISTORY = frozenset({"previous_response_id", "conversation"})
"""These count by what they stand for."""

# Their ids are made up anew with each answer. Other items' ids mean something: a reference, a hosted tool's call.
_NAMELESS = frozenset(
    {"message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)
# Beyond it a float does not know its neighbours apart.
_EXACT = 2**53


class NotComparableError(ValueError):
    """Something in a request that has no one spelling."""


def _number(text: str) -> int | float:
    """`1.0` is `1`, `1e2` is `100` (RFC 8785)."""
    value = float(text)
    if value in (inf, -inf):
        raise ValueError  # of which msgspec makes a ValidationError
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


_decode = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder(order="sorted").encode


PARTS = ("version", "api", "project", "namespace", "model", "backends", "fields", "history")
"""What a canonical request is a list of."""


class Question(Struct, frozen=True):
    """`canonical` is compared, `digest` (SHA-256, hex) is looked up; `has_history`: it depends on what is stored."""

    digest: str
    canonical: bytes
    has_history: bool


class Scope(Struct, frozen=True):
    """Who may share an answer, and who would give it; None leaves that out of the key, as configured."""

    project: str
    namespace: str | None
    model: str | None
    backends: Sequence[str] | None


def question_of(
    family: Family, scope: Scope, fields: Mapping[str, Raw], history: Sequence[Any] | None = None
) -> Question:
    """`fields` are the request's, by name; `history` what the ids in it stand for. Raises `NotComparableError`."""
    irrelevant = IRRELEVANT[family]
    asked: dict[str, Any] = {}
    for name, raw in fields.items():
        if name in irrelevant or name in HISTORY or name == "model":
            continue
        value = _plain(raw)
        asked[name] = _without_ids(value) if name == "input" and family == "responses" else value
    canonical = _encode(
        [
            POLICY_VERSION,
            family,
            scope.project,
            scope.namespace,
            scope.model,
            scope.backends,
            asked,
            None if history is None else [_without_ids(each) for each in history],
        ]
    )
    return Question(hashlib.sha256(canonical).hexdigest(), canonical, history is not None)


def plain(value: object) -> Any:
    """A decoded struct as the JSON it came from."""
    return _plain(_encode(value))


def _plain(data: bytes | Raw) -> Any:
    try:
        return _decode(data)
    except msgspec.ValidationError:
        raise NotComparableError("a number beyond any float") from None


def _without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_ids(each) for each in value]
    if isinstance(value, dict) and "id" in value and value.get("type", "message") in _NAMELESS:
        return {name: each for name, each in value.items() if name != "id"}
    return value
