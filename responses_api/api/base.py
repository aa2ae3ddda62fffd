"""The API's view: DRF's `APIView` with a slim async dispatch.

Authentication, throttles and exception handling run, on the event loop; content negotiation, parsers, renderers and
serializers do not (they cost 450 to 935 µs a request; msgspec decodes and encodes instead).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from responses_api.api.auth import ApiKeyAuthentication
from responses_api.api.http import Reply, Request, StreamReply
from responses_api.api.principal import Principal
from responses_api.api.render import error_reply
from responses_api.errors import MethodNotAllowed

Handler = Callable[..., Awaitable[Reply | StreamReply]]
AtOnce = Callable[[Request], Reply | None]


class ApiView(APIView):
    """Subclasses define `async def get/post/delete(self, request, **kwargs) -> Reply | StreamReply`."""

    http_method_names = ["get", "post", "delete"]
    authentication_classes = [ApiKeyAuthentication]
    # For the OpenAPI document only: views read and write bytes.
    parser_classes = [JSONParser]
    renderer_classes = [JSONRenderer]
    throttle_classes = []
    is_limited = False
    """Does it ask backends, count against the limits of project and key, and get turned away when there is too much?"""
    at_once: AtOnce | None = None
    """Answers what can be answered without waiting for anyone, and leaves no trace where it says None."""

    async def dispatch(self, request: Request, *args: Any, **kwargs: Any) -> Reply | StreamReply:  # type: ignore[override]
        try:
            request.principal = principal = await self.authenticate(request)
            if not self.is_limited or principal is None or not principal.allowances:
                return await self._handler(request)(request, *args, **kwargs)
            return await self._within_limits(request, principal, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the one place where errors become replies
            return error_reply(error, request.request_id)

    def takes_place(self, request: Request) -> bool:
        """Is it one of the runs that a project may have at once?"""
        return True

    async def _within_limits(
        self, request: Request, principal: Principal, *args: Any, **kwargs: Any
    ) -> Reply | StreamReply:
        """It has its place, where there is a limit, until the end of its stream. Raises `RateLimited`."""
        places, holder = request.runtime.places, request.request_id
        if self.takes_place(request):
            await places.take(principal.project, principal.allowances, holder)
        is_over = True
        try:
            headers = await request.runtime.limits.admit(principal.project, principal.allowances)
            reply = (await self._handler(request)(request, *args, **kwargs)).with_headers(headers)
            if isinstance(reply, StreamReply):
                is_over, reply.frames = False, _to_the_end(reply.frames, partial(places.give_back, holder))
            return reply
        finally:
            if is_over:
                places.give_back(holder)

    async def authenticate(self, request: Request) -> Principal | None:
        """The first authenticator that knows the caller. Raises `Unauthorized`. None for public views."""
        for authentication in self.authentication_classes:
            principal: Principal | None = await authentication().authenticate(request)  # type: ignore[misc, arg-type]
            if principal is not None:
                return principal
        return None

    def _handler(self, request: Request) -> Handler:
        method = "get" if request.method == "HEAD" else request.method.lower()
        handler: Handler | None = getattr(self, method, None) if method in self.http_method_names else None
        if handler is None:
            raise MethodNotAllowed(
                request.method, [name.upper() for name in self.http_method_names if hasattr(self, name)]
            )
        return handler


async def _to_the_end(frames: AsyncIterator[bytes], give_back: Callable[[], None]) -> AsyncIterator[bytes]:
    try:
        async with aclosing(frames):  # type: ignore[type-var]
            async for frame in frames:
                yield frame
    finally:
        give_back()


class PublicView(ApiView):
    """For probes and metrics: no key asked; not part of the API's document."""

    authentication_classes = []
    schema = None
