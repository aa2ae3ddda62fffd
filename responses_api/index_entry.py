"""What the hot path says about each request: one entry on a Redis stream, drained into SQL in batches.

Ids, sizes and times only, never a payload. `{key_prefix}index` is the stream; its one field, `entry`, holds the JSON.
"""

from __future__ import annotations

from typing import Literal

import msgspec

STREAM_FIELD = "entry"


def stream_key(key_prefix: str) -> str:
    """The stream's key; in a Cluster it lives on one slot."""
    return f"{key_prefix}index"


class IndexEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request's row. A later entry of the same `id` replaces an earlier one; `op="delete"` marks it deleted.

    `created_at` and `expires_at` are Unix seconds (`expires_at` None: never); `*_ms` are milliseconds; `*_bytes` the
    JSON as sent and received by the client. `gateway_ms` is the time the gateway itself added. `cache_entry` is the
    digest of what the cache was asked for; `tries` how many endpoints were asked.
    """

    id: str
    project: str
    op: Literal["put", "delete"] = "put"
    created_at: float
    expires_at: float | None = None
    request_id: str = ""
    api: Literal["responses", "chat", "completions", "embeddings"] = "responses"
    model: str = ""
    status: str = ""
    error_code: str = ""
    stored: bool = False
    stream: bool = False
    background: bool = False
    previous_response_id: str = ""
    conversation: str = ""
    verdict: str = "bypass"
    verdict_reason: str = ""
    cache_entry: str = ""
    backend: str = ""
    tries: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    duration_ms: float = 0
    first_token_ms: float | None = None
    gateway_ms: float = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(IndexEntry)


def encode(entry: IndexEntry) -> bytes:
    return _encoder.encode(entry)


def decode(data: bytes) -> IndexEntry:
    """Raises `msgspec.DecodeError` for bytes that are no entry."""
    return _decoder.decode(data)
