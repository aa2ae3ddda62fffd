"""Server-sent events: bytes → data fields, event → frame. No I/O."""

from __future__ import annotations

DONE_FRAME = b"data: [DONE]\n\n"
KEEP_ALIVE_FRAME = b": keep-alive\n\n"


def frame(event_type: bytes, data: bytes) -> bytes:
    """One whole frame, LF only: readers exist that lose an event split over two writes or ended with CRLF."""
    return b"event: %b\ndata: %b\n\n" % (event_type, data)


class DataReader:
    """Cuts a byte stream into the `data` of its events (WHATWG HTML §9.2.6, as far as backends use it).

    Survives any packet boundary (also inside a UTF-8 character or between CR and LF), CRLF and CR line ends,
    comments, fields other than `data`, and data of several lines.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._data: list[bytes] = []

    def feed(self, packet: bytes) -> list[bytes]:
        """The data of every event that `packet` completes."""
        text = self._tail + packet if self._tail else packet
        if b"\r" in text:
            # A CR at the very end may be half of a CRLF: it waits for the next packet.
            held = b"\r" if text.endswith(b"\r") else b""
            text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        lines = text.split(b"\n")
        self._tail = lines.pop()
        events: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif not line and self._data:
                events.append(self._take())
        return events

    def close(self) -> list[bytes]:
        """What an ended stream leaves: servers exist that omit the last blank line."""
        line = self._tail.rstrip(b"\r")
        self._tail = b""
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        return [self._take()] if self._data else []

    def _take(self) -> bytes:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data.clear()
        return data
