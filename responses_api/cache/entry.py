"""A recorded answer with what proves that it fits, and its bytes in Redis. Pure.

The bytes begin with one that names their version; behind it comes MessagePack under zstandard. Until it is filed an
answer as JSON is plain behind its CRC-32, which costs less than to compress it; a stream is not, whose events repeat
each other: it costs less to compress than to send. What cannot be read, whatever the reason, is no entry. Nothing in
it is ever executed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from zlib import crc32

import msgspec
import zstandard
from msgspec import Struct

from responses_api.vault import LockedAwayError, Vault

VERSION = b"\x01"
PLAIN = b"\x02"
"""Not compressed: an answer as JSON that is not filed yet."""
BANNED = b"\x00"
"""In an entry's place: the answer to this question is never to be given again."""
MAX_BYTES = 64 * 1024 * 1024
"""Of what is read: a damaged length must not claim all memory."""
_LEVEL = 3
_REPETITIVE_BYTES = 16_384
"""Of a stream's frames; beyond it they are compressed at once."""
_CRC_BYTES = 4


class Recording(Struct, array_like=True):
    """An answer as it was given. Ids in `body` and `frames` are made of `digits`, to be replaced by those of the next.

    `body` is the answer as JSON, whole. `frames` are the events of a stream between its first and its last, empty
    where none was recorded; `marks` are (milliseconds since the first, bytes of `frames` told by then). `seconds` is
    how long the backend took.
    """

    digits: str
    body: bytes
    frames: bytes
    marks: list[tuple[int, int]]
    backend: str
    seconds: float
    input_tokens: int
    output_tokens: int


class Entry(Struct, array_like=True):
    """`created_at` Unix seconds, `ttl` seconds; `epochs` those that held when the question was asked, without zeros."""

    digest: str
    canonical: bytes
    project: str
    namespace: str
    model: str
    tags: list[str]
    epochs: dict[str, int]
    created_at: float
    ttl: int
    recording: Recording

    @property
    def size(self) -> int:
        """Bytes, about: of what grows."""
        recording = self.recording
        return len(self.canonical) + len(recording.body) + len(recording.frames) + 1024

    @property
    def id(self) -> str:
        """As clients are told it."""
        return entry_id(self.digest)

    def survives(self, epochs: Mapping[str, int]) -> bool:
        """Has nothing that concerns it been purged since?"""
        if not epochs:
            return not self.epochs
        names = names_of(self.namespace, self.model, self.tags)
        return all(epochs.get(name, 0) == self.epochs.get(name, 0) for name in names)


ALL = "all"


def names_of(namespace: str, model: str, tags: Sequence[str]) -> list[str]:
    """The epochs that concern an entry: how often all, its namespace, its model, its tags were purged."""
    return [ALL, f"namespace:{namespace}", f"model:{model}", *(f"tag:{tag}" for tag in tags)]


def entry_id(digest: str) -> str:
    return f"cache_{digest}"


def digest_of(entry: str) -> str | None:
    """The digest in an entry's id; None for what is no such id."""
    digest = entry.removeprefix("cache_")
    is_digest = len(digest) == 64 and all(char in "0123456789abcdef" for char in digest)
    return digest if entry.startswith("cache_") and is_digest else None


class EntryCodec:
    """Entries as they are written, locked where there are keys. What no key opens is no entry."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def encode(self, entry: Entry) -> bytes:
        """As it is until it is filed."""
        return self._vault.lock(ENTRY_PLACE, encode(entry))

    def filed(self, value: bytes) -> bytes:
        """The bytes of one that is not filed yet → those that are filed. Raises `LockedAwayError`."""
        opened = self._vault.open(ENTRY_PLACE, value)
        return value if opened.startswith(VERSION) else self._vault.lock(ENTRY_PLACE, compress(opened))

    def decode(self, value: bytes) -> Entry | None:
        """None for what is no entry, or damaged."""
        try:
            return decode(self._vault.open(ENTRY_PLACE, value))
        except LockedAwayError:
            return None


ENTRY_PLACE = "entry"
"""They tell themselves whose they are, and for which question."""
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Entry)


class _Zstandard(threading.local):
    """One of each for a thread: to make one takes several times as long as to use it for an answer."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstandard = _Zstandard()


def encode(entry: Entry) -> bytes:
    """As it is until it is filed."""
    if len(entry.recording.frames) > _REPETITIVE_BYTES:
        return VERSION + _zstandard.compress(_encode(entry))
    return encode_plain(entry)


def encode_plain(entry: Entry) -> bytes:
    packed = _encode(entry)
    return b"%b%b%b" % (PLAIN, crc32(packed).to_bytes(_CRC_BYTES), packed)


def compress(value: bytes) -> bytes:
    """A plain entry's bytes → those that are filed."""
    return VERSION + _zstandard.compress(value[1 + _CRC_BYTES :])


def decode(value: bytes) -> Entry | None:
    """None for what is no entry, or damaged."""
    try:
        if value[:1] == PLAIN:
            checksum, packed = value[1 : 1 + _CRC_BYTES], value[1 + _CRC_BYTES :]
            return _decoder.decode(packed) if checksum == crc32(packed).to_bytes(_CRC_BYTES) else None
        if value[:1] == VERSION:
            return _decoder.decode(_zstandard.decompress(value[1:], max_output_size=MAX_BYTES))
    except (msgspec.DecodeError, zstandard.ZstdError, UnicodeError, MemoryError):
        return None
    return None
