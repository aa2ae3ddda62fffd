"""`/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`: one base URL for clients of either API."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema

from responses_api.api.base import ApiView
from responses_api.api.http import Reply, Request, StreamReply
from responses_api.api.schema import ErrorBody
from responses_api.passthrough import PassedApi
from responses_api.run import RequestContext

# Their shapes are the backend's business.
_Body = dict[str, Any]


class _PassedView(ApiView):
    api: ClassVar[PassedApi]

    async def post(self, request: Request) -> Reply | StreamReply:
        body = request.json_body()
        context = RequestContext(request.project, request.request_id, request.received, len(body))
        passthrough = request.runtime.passthrough
        passage = passthrough.prepare(self.api, body, context)
        headers = [(b"x-router-backend", passage.endpoint.name.encode("latin-1", "replace"))]
        if passage.streams:
            return StreamReply(passthrough.stream(passage), lambda: headers)
        return Reply(await passthrough.complete(passage), extra_headers=headers)


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
