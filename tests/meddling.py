"""Things that happen between two commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Meddling:
    """A Redis client that does something else just before one of its commands, or instead of it; `nth`: only then."""

    def __init__(self, client: Any, command: str, meddle: Callable[[], object], nth: int | None = None) -> None:
        self._client = client
        self._command = command
        self._meddle = meddle
        self._nth = nth
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        if name != self._command:
            return getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self._calls += 1
            if self._nth in (None, self._calls):
                self._meddle()
            return getattr(self._client, name)(*arguments, **options)

        return call
