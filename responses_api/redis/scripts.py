"""Lua that changes several keys of one slot at once.

Scripts are named by their digest. Each connection loads all that there are when it opens: one that the server does not
know yet would be sent a second time, behind commands that were meant to follow it.
"""

from __future__ import annotations

from hashlib import sha1

KNOWN: dict[str, Script] = {}
"""By digest; filled as modules define theirs."""


class Script:
    """`text` as Redis runs it; `digest` is the name it gives it."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
        KNOWN[self.digest] = self
