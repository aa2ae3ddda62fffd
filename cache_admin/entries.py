"""The cache's entries as its books list them, and one entry with what it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from cache_admin import sources
from cache_admin.thread import Thread
from responses_api.cache import entry as entry_format
from responses_api.cache.entry import Entry, EntryCodec
from responses_api.cache.key import PARTS
from responses_api.cache.layout import (
    banned_key,
    bytes_key,
    deadlines_key,
    entry_key,
    flight_key,
    hits_key,
    prefix_of,
    projects_key,
    used_key,
)
from responses_api.vault import vault_of

MAX_DECODED_BYTES = 200_000
"""Larger ones are listed without what only their content tells."""

BOOKS: dict[str, Callable[[str, str], str]] = {
    "used": used_key,
    "hits": hits_key,
    "bytes": bytes_key,
    "expiry": deadlines_key,
}
"""What entries can be sorted by → the book that is in this order."""


@dataclass(slots=True)
class Listed:
    """`used_at` and `deadline` in Unix seconds, `bytes` as Redis keeps it; `entry` None where it was not decoded."""

    digest: str
    id: str
    hits: int
    bytes: int
    used_at: float | None
    deadline: float | None
    entry: Entry | None

    @property
    def is_large(self) -> bool:
        return self.bytes > MAX_DECODED_BYTES


class Ban(msgspec.Struct):
    """Who said that an answer is never to be given again, when (Unix seconds) and why."""

    by: str
    at: float
    reason: str


_ban_encoder, _ban_decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Ban)


def prefix() -> str:
    return prefix_of(sources.config())


def projects() -> list[str]:
    """Those that have entries."""
    return sorted(each.decode() for each in sources.redis().smembers(projects_key(prefix())))


def listed(project: str, sort: str, start: int, count: int) -> list[Listed]:
    """Entries `start` and after, the most used (or largest, latest) first. Raises what Redis raises."""
    client, here = sources.redis(), prefix()
    digests = [each.decode() for each in client.zrevrange(BOOKS[sort](here, project), start, start + count - 1)]
    return [_look(client, here, project, digest) for digest in digests]


def _look(client: Any, here: str, project: str, digest: str) -> Listed:
    hits, size, used_at, deadline = (
        client.zscore(book(here, project), digest) for book in (hits_key, bytes_key, used_key, deadlines_key)
    )
    value = client.get(entry_key(here, digest)) if (size or 0) <= MAX_DECODED_BYTES else None
    entry = _codec().decode(value) if value else None
    return Listed(digest, entry_format.entry_id(digest), int(hits or 0), int(size or 0), used_at, deadline, entry)


def read(digest: str) -> Entry | None:
    """Filed or not. Raises what Redis raises."""
    client, here = sources.redis(), prefix()
    value = client.hget(flight_key(here, digest), "answer") or client.get(entry_key(here, digest))
    return _codec().decode(value) if value else None


def _codec() -> EntryCodec:
    return EntryCodec(vault_of(sources.config().encryption_keys))


def details(project: str, digest: str) -> Listed:
    return _look(sources.redis(), prefix(), project, digest)


def banned(project: str) -> dict[str, Ban]:
    """Digest → the ban."""
    found = sources.redis().hgetall(banned_key(prefix(), project))
    return {digest.decode(): _ban_decoder.decode(note) for digest, note in found.items()}


def encode_ban(ban: Ban) -> bytes:
    return _ban_encoder.encode(ban)


def question(entry: Entry) -> dict[str, Any]:
    """The canonical request by its parts."""
    return dict(zip(PARTS, msgspec.json.decode(entry.canonical), strict=True))


def as_thread(entry: Entry, *, is_masked: bool) -> Thread:
    """Question and answer as a reader wants them."""
    asked = question(entry)
    fields, thread = asked["fields"], Thread(is_masked=is_masked)
    if asked["api"] == "responses":
        return _responses_thread(thread, asked, entry)
    thread.add(fields.get("messages") or [], is_input=True)
    answer = json.loads(entry.recording.body)
    said = [choice.get("message") or {} for choice in answer.get("choices") or []]
    return thread.add(said, is_input=False)


def _responses_thread(thread: Thread, asked: dict[str, Any], entry: Entry) -> Thread:
    fields = asked["fields"]
    thread.add_instructions(fields.get("instructions"))
    given = fields.get("input")
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": given}]
    history = [each for each in asked["history"] or () if isinstance(each, dict)]
    thread.add(history or given or [], is_input=True)
    return thread.add(json.loads(entry.recording.body).get("output") or [], is_input=False)
