"""`/v1/responses`: create, retrieve, delete, list the input."""

from __future__ import annotations

from functools import partial

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Struct

from responses_api.api.auth import recent
from responses_api.api.base import ApiView
from responses_api.api.headers import backend_headers, remembered_headers
from responses_api.api.http import Reply, Request, StreamReply
from responses_api.api.principal import Principal
from responses_api.api.query import PAGE_PARAMETERS, read_flag, read_include, read_integer, read_page
from responses_api.api.render import logged_frames
from responses_api.api.schema import Deleted, ErrorBody, ItemList
from responses_api.cache.controls import read_controls
from responses_api.cached_responses import Create
from responses_api.cached_streams import frames_of
from responses_api.errors import NotFound
from responses_api.repeats import Repeat
from responses_api.run import RequestContext, Run
from responses_api.shapes.request import CreateParams, CreateRequest, parse_create_request
from responses_api.shapes.response import Response, with_output_text


class _Kind(Struct):
    background: object = None


_kind_decoder = msgspec.json.Decoder(_Kind)


class StatefulView(ApiView):
    """A view of the Responses API, which the configuration can switch off."""

    async def authenticate(self, request: Request) -> Principal | None:
        principal = await super().authenticate(request)
        if not request.runtime.config.response_api.enabled:
            raise NotFound("The Responses API is switched off here (response_api.enabled).", code="api_disabled")
        return principal


class ResponsesView(StatefulView):
    """`POST /v1/responses`."""

    is_limited = True

    def takes_place(self, request: Request) -> bool:
        """A background run takes its own while it is made; to wait in the queue it needs none."""
        try:
            return _kind_decoder.decode(request.body).background is not True
        except (msgspec.DecodeError, UnicodeError):
            return True  # it will be refused

    @staticmethod
    def at_once(request: Request) -> Reply | None:
        """A repeat that need not be stored."""
        repeats = request.runtime.repeats
        principal = recent.get(request) if repeats and request.method == "POST" else None
        if principal is None or principal.allowances:
            return None
        repeat = repeats.find(principal.project, request.body, read_controls(request.headers))
        if repeat is None or repeat.is_stored or not request.is_json or b"x-request-timeout" in request.headers:
            return None
        request.principal = principal
        return _repeated(request, repeat, repeats.give_unstored(repeat, request.context(request.body)))

    @extend_schema(
        operation_id="createResponse",
        request=CreateParams,
        responses={(200, "application/json"): Response, (200, "text/event-stream"): str, "default": ErrorBody},
    )
    async def post(self, request: Request) -> Reply | StreamReply:
        body, runtime, controls = request.json_body(), request.runtime, read_controls(request.headers)
        context = request.context(body)
        if (repeat := runtime.repeats.find(request.project, body, controls)) is not None:
            return _repeated(request, repeat, await runtime.repeats.give(repeat, context))
        create = parse_create_request(body)
        if create.params.background:
            return await _submit(request, create, body, context)
        cached = runtime.cached
        begun = await cached.begin(create, body, context, controls)
        request.verdict = begun.run.verdict
        if begun.question is not None:
            request.outlives = partial(cached.is_awaited, begun)
        if create.params.stream:
            return StreamReply(frames_of(cached, begun), partial(_create_headers, begun))
        answer = await cached.complete(begun)
        for_client = _for_client(request, answer)
        runtime.repeats.learn(begun, answer, for_client)
        return Reply(for_client, extra_headers=_create_headers(begun))


class ResponseView(StatefulView):
    """`GET` and `DELETE /v1/responses/{id}`."""

    @extend_schema(
        operation_id="getResponse",
        parameters=[
            OpenApiParameter("stream", bool, description="its events: of background responses made with stream"),
            OpenApiParameter("starting_after", int, description="with stream: only events with a greater number"),
        ],
        responses={(200, "application/json"): Response, (200, "text/event-stream"): str, "default": ErrorBody},
    )
    async def get(self, request: Request, response_id: str) -> Reply | StreamReply:
        read_include(request)
        if read_flag(request, "stream"):
            # Absent means from the beginning; the first event has number 0.
            after = read_integer(request, "starting_after", default=-1, low=0, high=999_999_999)
            return StreamReply(logged_frames(request.runtime.background.follow(request.project, response_id, after)))
        stored = await request.runtime.stored.get(request.project, response_id)
        return Reply(_for_client(request, bytes(stored.response)))

    @extend_schema(operation_id="deleteResponse", responses={200: Deleted, "default": ErrorBody})
    async def delete(self, request: Request, response_id: str) -> Reply:
        await request.runtime.background.stop_before_delete(request.project, response_id)
        await request.runtime.stored.delete(request.project, response_id)
        return Reply(b'{"id":"%b","object":"response.deleted","deleted":true}' % response_id.encode())


class CancelView(StatefulView):
    """`POST /v1/responses/{id}/cancel`."""

    @extend_schema(operation_id="cancelResponse", request=None, responses={200: Response, "default": ErrorBody})
    async def post(self, request: Request, response_id: str) -> Reply:
        return Reply(_for_client(request, await request.runtime.background.cancel(request.project, response_id)))


class InputItemsView(StatefulView):
    """`GET /v1/responses/{id}/input_items`."""

    @extend_schema(
        operation_id="listInputItems",
        parameters=PAGE_PARAMETERS,
        responses={200: ItemList, "default": ErrorBody},
    )
    async def get(self, request: Request, response_id: str) -> Reply:
        read_include(request)
        page = await request.runtime.stored.input_items(request.project, response_id, read_page(request))
        return Reply(page.body())


def _repeated(request: Request, repeat: Repeat, answer: bytes) -> Reply:
    request.verdict = "hit"
    told = remembered_headers(repeat.entry.recording.backend, request.received)
    return Reply(answer, extra_headers=[*told, *request.runtime.repeats.headers(repeat)])


async def _submit(request: Request, create: CreateRequest, body: bytes, context: RequestContext) -> Reply | StreamReply:
    background = request.runtime.background
    queued = await background.submit(create, body, context)
    if create.params.stream:
        return StreamReply(logged_frames(background.follow(request.project, create.response_id, -1)))
    return Reply(_for_client(request, queued))


def _for_client(request: Request, response_json: bytes) -> bytes:
    if request.runtime.config.response_api.include_output_text:
        return with_output_text(response_json)
    return response_json


def _create_headers(create: Create) -> list[tuple[bytes, bytes]]:
    return [*_run_headers(create.run), *create.found.headers(create.controls)]


def _run_headers(run: Run) -> list[tuple[bytes, bytes]]:
    headers = backend_headers(run)
    if run.history.missing:
        headers.append((b"x-router-chain-missing", str(run.history.missing).encode()))
    if run.dropped_items:
        headers.append((b"x-router-truncated-items", str(run.dropped_items).encode()))
    return headers
