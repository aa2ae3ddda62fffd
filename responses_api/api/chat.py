"""`/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`: one base URL for clients of either API."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema

from responses_api.api.base import ApiView
from responses_api.api.headers import backend_headers
from responses_api.api.http import Reply, Request, StreamReply
from responses_api.api.schema import ErrorBody
from responses_api.cache.controls import read_controls
from responses_api.cached_chat import Chat
from responses_api.passthrough import PassedApi

# Their shapes are the backend's business.
_Body = dict[str, Any]


class _PassedView(ApiView):
    api: ClassVar[PassedApi]
    is_limited = True

    async def post(self, request: Request) -> Reply | StreamReply:
        body = request.json_body()
        context = request.context(body)
        cached = request.runtime.cached_passthrough
        chat = await cached.begin(self.api, body, context, read_controls(request.headers))
        request.verdict = chat.passage.verdict
        if chat.question is not None:
            request.outlives = partial(cached.is_awaited, chat)
        if chat.passage.streams:
            return StreamReply(cached.stream(chat), partial(_headers, chat))
        answer = await cached.complete(chat)
        return Reply(answer, extra_headers=_headers(chat))


def _headers(chat: Chat) -> list[tuple[bytes, bytes]]:
    return [*backend_headers(chat.passage), *chat.found.headers(chat.controls)]


class ChatCompletionsView(_PassedView):
    """`POST /v1/chat/completions`."""

    api = "chat"

    @extend_schema(
        operation_id="createChatCompletion",
        request=_Body,
        responses={(200, "application/json"): _Body, (200, "text/event-stream"): str, "default": ErrorBody},
    )
    async def post(self, request: Request) -> Reply | StreamReply:
        return await super().post(request)


class CompletionsView(_PassedView):
    """`POST /v1/completions`."""

    api = "completions"

    @extend_schema(
        operation_id="createCompletion",
        request=_Body,
        responses={(200, "application/json"): _Body, (200, "text/event-stream"): str, "default": ErrorBody},
    )
    async def post(self, request: Request) -> Reply | StreamReply:
        return await super().post(request)


class EmbeddingsView(_PassedView):
    """`POST /v1/embeddings`."""

    api = "embeddings"

    @extend_schema(operation_id="createEmbedding", request=_Body, responses={200: _Body, "default": ErrorBody})
    async def post(self, request: Request) -> Reply | StreamReply:
        return await super().post(request)
