"""Responses and conversations out of one Redis into another, or into a file of JSON Lines and back.

Blocking, on redis-py's clients, standalone or Cluster. What is there already is left alone: a transfer that was broken
off is simply begun again. Background runs in progress and the cache stay behind.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from responses_api.stores.layout import companion_key, conversation_key, literally, response_key
from responses_api.vault import Vault

BATCH = 200
_SCAN_COUNT = 1000


class TransferError(Exception):
    """What cannot be read; the message says where."""


class StoredResponseRecord(Struct, tag="response", tag_field="kind"):
    """`expires_at` Unix seconds; None: never."""

    id: str
    value: Raw
    expires_at: float | None = None


class ConversationRecord(Struct, tag="conversation", tag_field="kind"):
    """`items` in order, each with its id."""

    id: str
    value: Raw
    items: list[Raw]


Record = StoredResponseRecord | ConversationRecord


class _Item(Struct):
    id: str


_record_decoder = msgspec.json.Decoder(Record)
_item_decoder = msgspec.json.Decoder(_Item)
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Transferred:
    """`same` were there already, `different` too but with other content: those were left as they are."""

    copied: int = 0
    same: int = 0
    different: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        return self.copied + self.same + self.different + self.expired


class RedisShelf:
    """What one Redis holds under one key prefix, decrypted. Methods raise what Redis raises, and `LockedAwayError`."""

    def __init__(self, client: Any, prefix: str, vault: Vault) -> None:
        self._vault = vault
        self._client = client
        self._prefix = prefix

    def batches(self) -> Iterator[list[Record]]:
        """Everything, responses first; what is written meanwhile may be missed."""
        for ids in _batched(self._ids(response_key(self._prefix, ""))):
            yield list(self._responses(ids))
        for ids in _batched(self._ids(conversation_key(self._prefix, ""))):
            yield list(self._conversations(ids))

    def put(self, records: Sequence[Record]) -> Transferred:
        """Writes what is missing, and reads it back. Raises `TransferError` where it is not what was written."""
        result, now = Transferred(), time.time()
        alive = [each for each in records if not _has_expired(each, now)]
        result.expired = len(records) - len(alive)
        missing = []
        for record, there in zip(alive, self._read(alive), strict=True):
            if there is None:
                missing.append(record)
            elif _content(there) == _content(record):
                result.same += 1
            else:
                result.different += 1
        self._write(missing)
        for record, there in zip(missing, self._read(missing), strict=True):
            is_there = there is not None and _content(there) == _content(record)
            if not is_there and not _has_expired(record, time.time()):
                raise TransferError(f"{record.id} is not what was written: is something else writing there?")
            result.copied += 1
        return result

    # -- inside --------------------------------------------------------------------------------------------------

    def _ids(self, start: str) -> Iterator[str]:
        for key in self._client.scan_iter(match=f"{literally(start)}*", count=_SCAN_COUNT):
            yield key.decode().removeprefix(start)

    def _responses(self, ids: Sequence[str]) -> Iterator[StoredResponseRecord]:
        pipeline = self._client.pipeline(transaction=False)
        for each in ids:
            pipeline.get(response_key(self._prefix, each))
            pipeline.pttl(response_key(self._prefix, each))
        replies, now = pipeline.execute(), time.time()
        for each, value, left in zip(ids, replies[::2], replies[1::2], strict=True):
            if value is not None:
                opened = self._vault.open(each, value)
                yield StoredResponseRecord(each, Raw(opened), now + left / 1000 if left >= 0 else None)

    def _conversations(self, ids: Sequence[str]) -> Iterator[ConversationRecord]:
        pipeline = self._client.pipeline(transaction=False)
        for each in ids:
            key = conversation_key(self._prefix, each)
            pipeline.get(key)
            pipeline.zrange(companion_key(key, "order"), 0, -1)
            pipeline.hgetall(companion_key(key, "items"))
        replies = pipeline.execute()
        for each, value, order, items in zip(ids, replies[::3], replies[1::3], replies[2::3], strict=True):
            if value is not None:
                kept = [self._vault.open(each, items[name]) for name in order if name in items]
                yield ConversationRecord(each, Raw(self._vault.open(each, value)), [Raw(item) for item in kept])

    def _read(self, records: Sequence[Record]) -> list[Record | None]:
        responses = {each.id: each for each in self._responses([r.id for r in records if _is_response(r)])}
        others = [r.id for r in records if not _is_response(r)]
        conversations = {each.id: each for each in self._conversations(others)}
        return [(responses if _is_response(each) else conversations).get(each.id) for each in records]

    def _write(self, records: Sequence[Record]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for record in records:
            if isinstance(record, StoredResponseRecord):
                expiry = {} if record.expires_at is None else {"pxat": int(record.expires_at * 1000)}
                locked = self._vault.lock(record.id, bytes(record.value))
                pipeline.set(response_key(self._prefix, record.id), locked, nx=True, **expiry)
                continue
            key = conversation_key(self._prefix, record.id)
            for place, item in enumerate(record.items):
                name = _item_decoder.decode(item).id
                pipeline.hset(companion_key(key, "items"), name, self._vault.lock(record.id, bytes(item)))
                pipeline.zadd(companion_key(key, "order"), {name: place})
            # Last: without it nobody sees the rest.
            pipeline.set(key, self._vault.lock(record.id, bytes(record.value)), nx=True)
        pipeline.execute()


def copy(source: RedisShelf, target: RedisShelf) -> Iterator[Transferred]:
    """Copies batch by batch; what each came to."""
    for batch in source.batches():
        yield target.put(batch)


def write_lines(source: RedisShelf, file: BinaryIO) -> Iterator[int]:
    """Writes JSON Lines batch by batch; how many lines each was."""
    for batch in source.batches():
        file.write(b"".join(_encode(record) + b"\n" for record in batch))
        yield len(batch)


def read_lines(file: BinaryIO, target: RedisShelf) -> Iterator[Transferred]:
    """Reads what `write_lines` wrote, batch by batch. Raises `TransferError` for a line that is no record."""
    for lines in _batched(enumerate(file, 1)):
        yield target.put([_decode(number, line) for number, line in lines if line.strip()])


def _decode(number: int, line: bytes) -> Record:
    try:
        record: Record = _record_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise TransferError(f"Line {number} is no exported response or conversation: {error}") from None
    return record


def _has_expired(record: Record, now: float) -> bool:
    return isinstance(record, StoredResponseRecord) and record.expires_at is not None and record.expires_at < now


def _is_response(record: Record) -> bool:
    return isinstance(record, StoredResponseRecord)


def _content(record: Record) -> Any:
    items = () if isinstance(record, StoredResponseRecord) else tuple(map(bytes, record.items))
    return bytes(record.value), items


def _batched(values: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(values)
    while batch := list(islice(iterator, BATCH)):
        yield batch
