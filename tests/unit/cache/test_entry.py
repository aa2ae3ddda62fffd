"""An entry's bytes: whole, or nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_api.cache.entry import (
    Entry,
    EntryCodec,
    Recording,
    compress,
    decode,
    digest_of,
    encode,
    encode_plain,
)
from responses_api.vault import Vault

RECORDING = Recording("0" * 24, b'{"output":[]}' * 50, b"event: x\n\n", [(1, 2)], "b", 1.5, 3, 4)
ENTRY = Entry("a" * 64, b"[1]", "p", "", "m", ["t"], {"all": 1}, 1e9, 300, RECORDING)


STREAM = msgspec.structs.replace(ENTRY, recording=msgspec.structs.replace(RECORDING, frames=b"event: x\n\n" * 2000))


def test_it_survives_the_journey() -> None:
    plain = encode_plain(ENTRY)
    assert decode(plain) == decode(compress(plain)) == ENTRY
    assert len(compress(plain)) < len(plain)


@pytest.mark.parametrize("secrets", [(), ("a key of thirty-two characters or so",)])
@pytest.mark.parametrize("entry", [ENTRY, STREAM], ids=["json", "stream"])
def test_it_is_the_same_before_and_after_it_is_filed(entry: Entry, secrets: tuple[str, ...]) -> None:
    codec = EntryCodec(Vault(secrets))
    landed = codec.encode(entry)
    filed = codec.filed(landed)
    assert codec.decode(landed) == codec.decode(filed) == entry
    assert codec.filed(filed) == filed


def test_a_stream_is_small_from_the_beginning() -> None:
    assert len(encode(STREAM)) < len(encode_plain(STREAM)) / 10
    assert encode(ENTRY) == encode_plain(ENTRY)


def test_threads_do_not_get_in_each_others_way() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(each == STREAM for each in pool.map(lambda _: decode(encode(STREAM)), range(400)))


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x01", b"\x02", b"\x03" + b"x" * 99, b"\x80\x04\x95", b"\xff" * 64])
def test_strangers_are_no_entries(value: bytes) -> None:
    assert decode(value) is None


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7), st.booleans())
def test_a_damaged_entry_is_none(place: int, bit: int, compressed: bool) -> None:
    value = bytearray(compress(encode_plain(ENTRY)) if compressed else encode_plain(ENTRY))
    value[place % len(value)] ^= 1 << bit
    found = decode(bytes(value))
    # Their checksums find every flipped bit, but for those of a frame's head that say nothing.
    assert found is None or found == ENTRY


@given(st.integers(min_value=0, max_value=400))
def test_a_cut_entry_is_none(length: int) -> None:
    value = compress(encode_plain(ENTRY))
    if length < len(value):
        assert decode(value[:length]) is None


def test_purges_that_concern_it() -> None:
    assert ENTRY.survives({"all": 1})
    assert ENTRY.survives({"all": 1, "tag:other": 5, "model:n": 1})
    for epochs in ({}, {"all": 2}, {"all": 1, "tag:t": 1}, {"all": 1, "model:m": 1}, {"all": 1, "namespace:": 1}):
        assert not ENTRY.survives(epochs)


def test_ids() -> None:
    assert digest_of(ENTRY.id) == ENTRY.digest
    for stranger in ("", "cache_", "a" * 64, "cache_" + "g" * 64, "cache_" + "a" * 63, "resp_" + "a" * 64):
        assert digest_of(stranger) is None
