"""Frames or a document → the packets that are sent, and how they end. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from responses_api.demo_backend.chunks import DONE
from responses_api.demo_backend.script import Steps

_MALFORMED = b'data: {"id":"chatcmpl-demo","choices":[{"delta":\n\n'
_PING = b": ping\n\n"
_SERVER_ERROR = {"message": "The demo backend failed.", "type": "server_error", "param": None, "code": None}


class Ending(enum.Enum):
    WHOLE = "the body is complete"
    STALL = "silence until the client leaves"
    CUT = "the connection is closed mid-body"


@dataclass(frozen=True, slots=True)
class Delivery:
    packets: list[bytes]
    ending: Ending = Ending.WHOLE


def stream_delivery(frames: list[bytes], steps: Steps) -> Delivery:
    """A stream as the script wants it damaged: its frames first, then its bytes, then its packets."""
    kept, ending = _shortened(_with_errors(frames, steps), steps)
    if steps.ping_every:
        kept = list(_with_pings(kept, steps.ping_every))
    if steps.crlf:
        kept = [frame.replace(b"\n", b"\r\n") for frame in kept]
    return Delivery(_packets(kept, steps), ending)


def document_delivery(body: bytes, steps: Steps) -> Delivery:
    """A document in one packet, or half of it where the script stalls or cuts."""
    ending = Ending.STALL if steps.stall_after is not None else Ending.CUT
    limit = steps.stall_after if steps.stall_after is not None else steps.cut_after
    if limit is None:
        return Delivery(_packets([body], steps))
    return Delivery([body[: len(body) // 2]] if limit else [], ending)


def error_object(steps: Steps, status: int | None = None) -> dict[str, Any]:
    """`{"error": …}` as OpenAI shapes it (API reference → Errors): the script's, or made up for `status`."""
    if steps.error is not None:
        return {"error": steps.error}
    if status is None:
        return {"error": _SERVER_ERROR}
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": f"The script says {status}.", "type": kind, "param": None, "code": None}}


def _with_errors(frames: list[bytes], steps: Steps) -> list[bytes]:
    if steps.malformed_after is not None:
        frames = [*frames[: steps.malformed_after], _MALFORMED, *frames[steps.malformed_after :]]
    if steps.error_after is not None:
        failure = b"data: " + msgspec.json.encode(error_object(steps)) + b"\n\n"
        # vLLM ends a failed stream with [DONE] like a good one.
        frames = [*frames[: steps.error_after], failure, *([] if steps.no_done else [DONE])]
    return frames


def _shortened(frames: list[bytes], steps: Steps) -> tuple[list[bytes], Ending]:
    if steps.stall_after is not None:
        return frames[: steps.stall_after], Ending.STALL
    if steps.cut_after is not None:
        return frames[: steps.cut_after], Ending.CUT
    return frames[: steps.end_after], Ending.WHOLE


def _with_pings(frames: list[bytes], every: int) -> Iterator[bytes]:
    for nth, frame in enumerate(frames):
        if nth % every == 0:
            yield _PING
        yield frame


def _packets(parts: list[bytes], steps: Steps) -> list[bytes]:
    if steps.packet_bytes is not None:
        whole, size = b"".join(parts), max(steps.packet_bytes, 1)
        return [whole[start : start + size] for start in range(0, len(whole), size)]
    if steps.frames_per_packet is not None:
        size = steps.frames_per_packet or max(len(parts), 1)
        return [b"".join(parts[start : start + size]) for start in range(0, len(parts), size)]
    return parts
