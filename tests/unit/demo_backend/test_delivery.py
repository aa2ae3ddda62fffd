"""Frames and documents → packets and how they end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.demo_backend.chunks import DONE
from responses_api.demo_backend.delivery import (
    Delivery,
    Ending,
    document_delivery,
    error_object,
    stream_delivery,
)
from responses_api.demo_backend.script import Steps

A, B = "data: é\n\n".encode(), b"data: b\n\n"
FRAMES = [A, B, DONE]
PING = b": ping\n\n"
BROKEN = b'data: {"id":"chatcmpl-demo","choices":[{"delta":\n\n'
FAILURE = {"message": "The demo backend failed.", "type": "server_error", "param": None, "code": None}
MADE_UP = b"data: " + msgspec.json.encode({"error": FAILURE}) + b"\n\n"


@pytest.mark.parametrize(
    ("steps", "packets", "ending"),
    [
        (Steps(), [A, B, DONE], Ending.WHOLE),
        (Steps(stall_after=0), [], Ending.STALL),
        (Steps(stall_after=1), [A], Ending.STALL),
        (Steps(cut_after=2), [A, B], Ending.CUT),
        (Steps(cut_after=99), [A, B, DONE], Ending.CUT),
        (Steps(end_after=1), [A], Ending.WHOLE),
        (Steps(error_after=1), [A, MADE_UP, DONE], Ending.WHOLE),
        (Steps(error_after=0, error={"code": 7}), [b'data: {"error":{"code":7}}\n\n', DONE], Ending.WHOLE),
        (Steps(error_after=1, no_done=True), [A, MADE_UP], Ending.WHOLE),
        (Steps(error_after=1, cut_after=2), [A, MADE_UP], Ending.CUT),
        (Steps(malformed_after=1), [A, BROKEN, B, DONE], Ending.WHOLE),
        (Steps(ping_every=1), [PING, A, PING, B, PING, DONE], Ending.WHOLE),
        (Steps(ping_every=2), [PING, A, B, PING, DONE], Ending.WHOLE),
        (
            Steps(crlf=True),
            ["data: é\r\n\r\n".encode(), b"data: b\r\n\r\n", b"data: [DONE]\r\n\r\n"],
            Ending.WHOLE,
        ),
        (Steps(packet_bytes=7, end_after=1), [b"data: \xc3", b"\xa9\n\n"], Ending.WHOLE),
        (Steps(packet_bytes=5, cut_after=1, crlf=True), [b"data:", b" \xc3\xa9\r\n", b"\r\n"], Ending.CUT),
        (Steps(frames_per_packet=2), [A + B, DONE], Ending.WHOLE),
        (Steps(frames_per_packet=0), [A + B + DONE], Ending.WHOLE),
    ],
)
def test_a_stream_is_damaged_as_told(steps: Steps, packets: list[bytes], ending: Ending) -> None:
    assert stream_delivery(FRAMES, steps) == Delivery(packets, ending)


@pytest.mark.parametrize(
    ("steps", "packets", "ending"),
    [
        (Steps(), [b"{123}"], Ending.WHOLE),
        (Steps(packet_bytes=2), [b"{1", b"23", b"}"], Ending.WHOLE),
        (Steps(cut_after=0), [], Ending.CUT),
        (Steps(cut_after=3), [b"{1"], Ending.CUT),
        (Steps(stall_after=1), [b"{1"], Ending.STALL),
    ],
)
def test_a_document_is_damaged_as_told(steps: Steps, packets: list[bytes], ending: Ending) -> None:
    assert document_delivery(b"{123}", steps) == Delivery(packets, ending)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (429, "rate_limit_error"), (500, "server_error"), (503, "server_error")],
)
def test_an_error_is_shaped_like_openais(status: int, kind: str) -> None:
    error: dict[str, Any] = {
        "message": f"The script says {status}.",
        "type": kind,
        "param": None,
        "code": None,
    }
    assert error_object(Steps(), status) == {"error": error}


def test_the_scripts_own_error_is_verbatim() -> None:
    assert error_object(Steps(error={"code": "context_length_exceeded"}), 400) == {
        "error": {"code": "context_length_exceeded"}
    }
