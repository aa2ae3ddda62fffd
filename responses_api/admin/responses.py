"""The index of responses, as the worker keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from responses_api.models import ResponseIndex

if TYPE_CHECKING:
    _ResponseIndexAdmin = admin.ModelAdmin[ResponseIndex]
else:
    _ResponseIndexAdmin = admin.ModelAdmin


@admin.register(ResponseIndex)
class ResponseIndexAdmin(_ResponseIndexAdmin):
    """Read-only: rows follow what happens to responses."""

    list_display = (
        "id",
        "created_at",
        "project",
        "api",
        "model",
        "status",
        "verdict",
        "backend",
        "input_tokens",
        "output_tokens",
        "duration_ms",
        "expires_at",
        "deleted_at",
    )
    list_filter = ("status", "api", "verdict", "stored", "stream", "background", "model", "backend", "project")
    search_fields = ("^id", "^request_id", "=conversation")
    search_help_text = "A response id or request id, or how it begins; or a whole conversation id"
    date_hierarchy = "created_at"
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
