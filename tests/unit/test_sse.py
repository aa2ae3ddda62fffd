"""Server-sent events, cut from any packets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_api import sse

STREAM = 'data: {"a":"é😀"}\n\n: ping\n\nevent: x\ndata:two\ndata: lines\n\ndata: [DONE]\n\n'.encode()
EVENTS = ['{"a":"é😀"}'.encode(), b"two\nlines", b"[DONE]"]


def read(packets: list[bytes]) -> list[bytes]:
    reader = sse.DataReader()
    return [event for packet in packets for event in reader.feed(packet)] + reader.close()


def test_it_reads_a_stream_in_one_packet() -> None:
    assert read([STREAM]) == EVENTS


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_it_reads_any_line_end_in_packets_of_any_size(newline: bytes, size: int) -> None:
    stream = STREAM.replace(b"\n", newline)
    assert read([stream[start : start + size] for start in range(0, len(stream), size)]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM) * 2), max_size=8))
def test_packet_boundaries_never_change_what_is_read(cuts: list[int]) -> None:
    stream = STREAM.replace(b"\n", b"\r\n")
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert read([stream[a:b] for a, b in pairwise(edges)]) == EVENTS


def test_a_last_event_without_its_blank_line_is_read_at_the_end() -> None:
    assert read([b"data: one\n\ndata: two"]) == [b"one", b"two"]
    assert read([b"data: one\n\ndata: two\n"]) == [b"one", b"two"]


def test_comments_and_other_fields_are_no_events() -> None:
    assert read([b": keep-alive\n\nretry: 5\n\nid: 3\n\n"]) == []


def test_a_frame_is_whole_and_has_line_feeds_only() -> None:
    assert sse.frame(b"response.created", b"{}") == b"event: response.created\ndata: {}\n\n"
