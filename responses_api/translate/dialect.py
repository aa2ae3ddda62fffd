"""What a backend's API asks of translation: a dialect for Chat Completions, one for the Responses API itself. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Raw

from responses_api.shapes.events import AnyEvent
from responses_api.shapes.items import Item, ItemView
from responses_api.shapes.request import CreateRequest
from responses_api.shapes.response import Response, ResponseError
from responses_api.translate.outcome import Outcome

Seal = Callable[[str], str]
"""A thought → an opaque string that only this gateway can read, for `encrypted_content`."""


class BackendStreamError(Exception):
    """An error object that a backend sent inside a stream it had begun with status 200."""


@dataclass(slots=True)
class Prompt:
    """All that the model is to read: the conversation oldest first, as views and, where a dialect asks, as JSON."""

    items: Sequence[ItemView]
    instructions: str | None = None
    raw_items: Sequence[Raw] = ()


class Translator(Protocol):
    """One streamed answer → events: `start`, then `feed` per chunk, then `finish` or `fail`, then `terminal`.

    Events share the one mutable response: encode them before the next call.
    """

    @property
    def has_output(self) -> bool: ...

    @property
    def is_finished(self) -> bool:
        """Has the backend said why it stopped? A stream that ends before was cut."""

    def start(self) -> list[AnyEvent]: ...

    def add_item(self, item: Item) -> list[AnyEvent]:
        """The events of a whole item that the gateway made itself, before the backend's first."""

    def feed(self, data: bytes) -> list[AnyEvent]:
        """The events of one chunk. Raises `BackendStreamError`, `msgspec.DecodeError`, `UnicodeError`."""

    def snapshot(self) -> list[Item]:
        """The output as far as it has come."""

    def finish(self) -> tuple[list[AnyEvent], Outcome]:
        """Closes what is open. What was produced is stored before `terminal` is sent."""

    def fail(self, error: ResponseError) -> Outcome:
        """What was whole, and the open item as far as it came."""

    def terminal(self) -> AnyEvent:
        """The one terminal event, once the response is concluded."""


class Dialect(Protocol):
    """How to ask a backend, and how to read what it answers."""

    path: str
    """Beneath the endpoint's base URL."""
    needs_raw_items: bool

    def check(self, request: CreateRequest) -> None:
        """Raises `InvalidRequest` that names what a backend of this kind cannot do."""

    def encode(self, request: CreateRequest, prompt: Prompt, *, stream: bool, max_tokens_field: str) -> bytes:
        """The body of the call. Raises `InvalidRequest`."""

    def read(self, response: Response, answer: bytes, seal: Seal | None) -> Outcome:
        """A whole answer. Raises `BackendStreamError`, `ValueError`, `msgspec.DecodeError`, `UnicodeError`."""

    def translator(self, response: Response, seal: Seal | None, first: int) -> Translator:
        """For a streamed answer, its events numbered from `first`; `seal` where the client wants sealed thoughts."""
