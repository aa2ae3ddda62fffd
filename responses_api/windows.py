"""Questions about a conversation's window that make no response: how many tokens it is, and how to make it shorter."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Struct

from responses_api.accounting import Accounting
from responses_api.backends.tokenizer import Tokenizer
from responses_api.compaction import Compactor, estimated_tokens
from responses_api.engine import Engine
from responses_api.run import RequestContext
from responses_api.shapes.items import Item
from responses_api.shapes.request import CreateRequest
from responses_api.shapes.response import InputTokensDetails, OutputTokensDetails, Usage
from responses_api.translate.chat_dialect import ChatDialect

_encode = msgspec.json.Encoder().encode
_chat = ChatDialect()


class CompactedWindow(Struct, kw_only=True):
    """The window to go on with; its id is nothing that could be retrieved or continued."""

    id: str
    object: Literal["response.compaction"] = "response.compaction"
    created_at: int
    output: list[Item]
    usage: Usage


class InputTokens(Struct, kw_only=True):
    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int
    estimated: bool
    """True: from the request's size, since its backend does not tell."""


@dataclass(slots=True)
class Windows:
    """Shared by all requests of an event loop."""

    engine: Engine
    compactor: Compactor
    tokenizer: Tokenizer
    accounting: Accounting

    async def compact(self, request: CreateRequest, context: RequestContext) -> bytes:
        """`POST /v1/responses/compact`: the shorter window as JSON. Raises `ApiError`."""
        run = await self.engine.check(request, context, with_raw=True)
        with self.accounting.following(run):
            run.called_at = time.perf_counter()
            compaction = await self.compactor.compact_window(
                context.project, request, run.prompt, run.endpoint, run.dialect
            )
            run.answered_at = time.perf_counter()
            run.response.usage = compaction.usage
            window = CompactedWindow(
                id=request.response_id,
                created_at=run.response.created_at,
                output=compaction.items,
                usage=compaction.usage or Usage(0, InputTokensDetails(), 0, OutputTokensDetails(), 0),
            )
            encoded = _encode(window)
            self.accounting.settle(run, "completed", response_bytes=len(encoded))
        return encoded

    async def count_tokens(self, request: CreateRequest, context: RequestContext) -> bytes:
        """`POST /v1/responses/input_tokens`: the rendered request with its history, counted. Raises `ApiError`."""
        run = await self.engine.check(request, context)
        body = _chat.encode(request, run.prompt, stream=False, max_tokens_field=run.endpoint.max_tokens_field)
        counted = await self.tokenizer.count(run.endpoint, msgspec.json.decode(body))
        tokens = estimated_tokens(body) if counted is None else counted
        return _encode(InputTokens(input_tokens=tokens, estimated=counted is None))
