"""What every page of the console has in common: its route, who may open it, and what happens when Redis is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import structlog
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.functional import SimpleLazyObject
from redis.exceptions import RedisError

from cache_admin import access, sources
from responses_api.errors import ApiError, StoreUnavailable
from responses_api.redis.pool import CONNECTION_ERRORS

log = structlog.get_logger(__name__)

View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Page:
    """A view that checks who asks, at `route` below `/admin/`."""

    route: str
    name: str
    view: View


_pages: list[Page] = []


def page(
    route: str, name: str, *, sees: str = access.SEE, acts: str = access.OPERATE, needs_redis: bool = False
) -> Callable[[View], View]:
    """Registers a view as `admin:{name}` below `/admin/`, for those with the permission `sees`; to post, `acts`."""

    def register(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            needed = (sees,) if request.method in ("GET", "HEAD") else (sees, acts)
            if not all(access.may(request, each) for each in needed):
                raise PermissionDenied
            if any("\x00" in value for value in kwargs.values() if isinstance(value, str)):
                raise Http404  # no id has a NUL in it, and PostgreSQL takes none
            if needs_redis and not sources.has_redis():
                return render(request, "without_redis", {"title": "Without Redis"})
            try:
                return view(request, *args, **kwargs)
            except (RedisError, StoreUnavailable, *CONNECTION_ERRORS) as error:
                log.warning("console_without_redis", page=name, reason=str(error))
                return render(
                    request, "unavailable", {"title": "Redis does not answer", "reason": reason_of(error)}, 503
                )

        _pages.append(Page(route, name, checked))
        return checked

    return register


def pages() -> list[Page]:
    return _pages


def render(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> TemplateResponse:
    """`templates/cache_admin/{template}.html`, within the console's frame."""
    shared = {
        **admin.site.each_context(request),
        "may_operate": access.may(request, access.OPERATE),
        "may_reveal": access.may(request, access.REVEAL),
        "reveals": access.reveals(request),
        "projects": SimpleLazyObject(sources.project_names),
    }
    return TemplateResponse(request, f"cache_admin/{template}.html", {**shared, **context}, status=status)


def fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
    """A part of a page that is loaded after it; without the frame, whose menu would be made for nothing."""
    rights = {"may_operate": access.may(request, access.OPERATE), "may_reveal": access.may(request, access.REVEAL)}
    return TemplateResponse(
        request, f"cache_admin/{template}.html", {**rights, "reveals": access.reveals(request), **context}
    )


def reason_of(error: BaseException) -> str:
    return (error.message if isinstance(error, ApiError) else str(error)) or type(error).__name__
