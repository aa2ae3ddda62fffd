"""Tool calls as a backend's deltas spell them out: which call a delta belongs to, and whose turn it is. Pure."""

from __future__ import annotations

import msgspec

from responses_api.shapes.ids import new_id
from responses_api.translate.chat import ToolCall, encode_arguments


class Call:
    """One call; `take_pending` hands out the pieces of its arguments that were not sent on yet."""

    def __init__(self, index: int | None, given_id: str | None) -> None:
        self.index = index
        self.given_id = given_id
        self.call_id = given_id or new_id("call")
        self.name = ""
        self._pieces: list[str] = []
        self._sent = 0

    def add(self, delta: ToolCall) -> None:
        function = delta.function
        if function is None:
            return
        # Some servers repeat the name in every delta; none splits it.
        self.name = self.name or function.name or ""
        if piece := encode_arguments(function.arguments):
            self._pieces.append(piece)

    @property
    def arguments(self) -> str:
        return "".join(self._pieces)

    @property
    def is_whole(self) -> bool:
        """Do the arguments parse? Asked only when another call is waiting."""
        try:
            msgspec.json.decode(self.arguments)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def take_pending(self) -> list[str]:
        pending = self._pieces[self._sent :]
        self._sent = len(self._pieces)
        return pending


class CallQueue:
    """Calls in the order they began. One has the turn; deltas of later ones wait for it."""

    def __init__(self) -> None:
        self._waiting: list[Call] = []

    def add(self, delta: ToolCall) -> None:
        call = self._find(delta)
        if call is None:
            call = Call(delta.index, delta.id)
            self._waiting.append(call)
        call.add(delta)

    @property
    def current(self) -> Call | None:
        return self._waiting[0] if self._waiting else None

    @property
    def next_is_waiting(self) -> bool:
        return len(self._waiting) > 1

    def advance(self) -> None:
        del self._waiting[0]

    def _find(self, delta: ToolCall) -> Call | None:
        """By id, else by index, else (a delta with neither) the last one.

        Servers exist that give every parallel call index 0, and others that leave the index out: a new id is a new
        call, whatever the index says.
        """
        if delta.id:
            return next((call for call in self._waiting if call.given_id == delta.id), None)
        if delta.index is not None:
            return next((call for call in reversed(self._waiting) if call.index == delta.index), None)
        return self._waiting[-1] if self._waiting else None
