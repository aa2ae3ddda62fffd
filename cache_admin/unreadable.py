"""A page in place of one whose secrets no configured key opens."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

from cache_admin.page import render
from responses_api.vault import LockedAwayError

log = structlog.get_logger(__name__)


class UnreadableSecrets:
    """Django middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        if not isinstance(error, LockedAwayError):
            return None
        log.error("secret_unreadable", path=request.path, reason=error.message)
        return render(request, "unreadable", {"title": "A secret cannot be read", "reason": error.message}, 500)
