"""`/v1/responses/compact` and `/v1/responses/input_tokens`."""

from __future__ import annotations

import msgspec
from drf_spectacular.utils import extend_schema

from responses_api.api.http import Reply, Request
from responses_api.api.responses import StatefulView
from responses_api.api.schema import ErrorBody
from responses_api.run import RequestContext
from responses_api.shapes.request import CreateParams, CreateRequest, parse_create_request
from responses_api.shapes.validation import decode
from responses_api.windows import CompactedWindow, InputTokens

_ABOUT_ANSWERS = ("stream", "stream_options", "background", "store", "context_management")
_STORELESS = msgspec.Raw(b"false")


class CompactView(StatefulView):
    """`POST /v1/responses/compact`."""

    @extend_schema(
        operation_id="compactResponse", request=CreateParams, responses={200: CompactedWindow, "default": ErrorBody}
    )
    async def post(self, request: Request) -> Reply:
        return Reply(await request.runtime.windows.compact(*_parse(request)))


class InputTokensView(StatefulView):
    """`POST /v1/responses/input_tokens`."""

    @extend_schema(
        operation_id="countInputTokens", request=CreateParams, responses={200: InputTokens, "default": ErrorBody}
    )
    async def post(self, request: Request) -> Reply:
        return Reply(await request.runtime.windows.count_tokens(*_parse(request)))


def _parse(request: Request) -> tuple[CreateRequest, RequestContext]:
    """A create request of which only the window counts."""
    body = request.json_body()
    fields = {name: raw for name, raw in decode(body, dict[str, msgspec.Raw]).items() if name not in _ABOUT_ANSWERS}
    parsed = parse_create_request(msgspec.json.encode(fields | {"store": _STORELESS}))
    return parsed, request.context(body)
