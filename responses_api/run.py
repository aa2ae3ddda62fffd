"""One response on its way, from the request that asked for it to the record that stays of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from math import inf

from msgspec import Struct, field

from responses_api.backends.registry import Endpoint
from responses_api.history import History
from responses_api.limits import Allowance
from responses_api.shapes.items import Item
from responses_api.shapes.request import CreateRequest
from responses_api.shapes.response import Response, Usage
from responses_api.stores.record import StoredResponse
from responses_api.translate.dialect import Dialect, Prompt, Translator

Keep = Callable[[StoredResponse], Awaitable[None]]


class RequestContext(Struct, frozen=True):
    """Who asks. `received` is `time.perf_counter()` seconds at the request's first byte."""

    project: str
    request_id: str
    received: float = field(default_factory=time.perf_counter)
    request_bytes: int = 0
    deadline: float = inf
    """By then the answer is to be there, on the same clock."""
    allowances: Sequence[Allowance] = ()
    """What it is charged to."""


class Run(Struct):
    """`*_at` are `time.perf_counter()` seconds."""

    request: CreateRequest
    context: RequestContext
    history: History
    endpoint: Endpoint
    dialect: Dialect
    """Of the endpoint that is asked, or was at last."""
    prompt: Prompt
    response: Response
    body: bytes = b""
    """What the backend is sent."""
    streams: bool = False
    """Is the backend asked for a stream?"""
    candidates: Sequence[Endpoint] = ()
    """The endpoints to try, best first."""
    tries: int = 0
    """Endpoints asked so far."""
    keep: Keep | None = None
    """Takes the record of the finished response; None: the store does."""
    witness: Callable[[Run, bytes], None] | None = None
    """Hears of the concluded response, with its JSON, before its end is told."""
    verdict: str = "bypass"
    """The cache's, and why."""
    verdict_reason: str = ""
    cache_entry: str = ""
    """The digest of what the cache was asked for."""
    made: list[Item] = []
    """Output items that the gateway made before the model said anything, and the tokens that took."""
    made_usage: Usage | None = None
    dropped_items: int = 0
    """How many of the oldest items `truncation: auto` left out."""
    first_sequence: int = 0
    """The number of the first event; later where a stream goes on that another process began."""
    translator: Translator | None = None
    called_at: float = 0.0
    answered_at: float = 0.0
    first_token_at: float | None = None
    settled: bool = False
    """Has the index been told how it ended?"""
    counted: bool = False
    """Was it ever? It may end anew, with an expired answer in place of the backend's failure."""
