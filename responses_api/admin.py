"""Django's plain admin for projects, keys and the index of responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from responses_api import api_keys
from responses_api.models import ApiKey, Project, ResponseIndex

# The stubs know Django's generics, Django itself does not.
if TYPE_CHECKING:
    _ProjectAdmin = admin.ModelAdmin[Project]
    _ApiKeyAdmin = admin.ModelAdmin[ApiKey]
    _ResponseIndexAdmin = admin.ModelAdmin[ResponseIndex]
else:
    _ProjectAdmin = _ApiKeyAdmin = _ResponseIndexAdmin = admin.ModelAdmin


@admin.register(Project)
class ProjectAdmin(_ProjectAdmin):
    list_display = ("name", "public_id", "created_at")
    search_fields = ("name", "public_id")
    readonly_fields = ("public_id", "created_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Stored responses carry its id and would belong to nobody.
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(_ApiKeyAdmin):
    """Keys are made and revoked, not edited; a secret is shown once, right after it was made."""

    list_display = ("name", "project", "prefix", "state", "created_at", "expires_at", "last_used_at")
    list_select_related = ("project",)
    list_filter = ("project",)
    search_fields = ("name", "prefix", "project__name")
    fields = ("project", "name", "expires_at")
    actions = ("revoke",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Deleting the last key would open the door that revoking it keeps shut.
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        shown = ("prefix", "created_at", "revoked_at", "last_used_at")
        return () if obj is None else ("project", *shown)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.fields if obj is None else (*self.fields, "prefix", "created_at", "revoked_at", "last_used_at")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        secret = api_keys.issue(obj)
        messages.warning(request, f"The key, shown this once: {secret}")

    @admin.action(description="Revoke the selected keys")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = queryset.filter(revoked_at=None).update(revoked_at=timezone.now())
        messages.success(request, f"{revoked} revoked; processes notice within seconds.")


@admin.register(ResponseIndex)
class ResponseIndexAdmin(_ResponseIndexAdmin):
    """Read-only: rows follow what happens to responses."""

    list_display = (
        "id",
        "created_at",
        "project",
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
    list_filter = ("status", "verdict", "stored", "stream", "model", "backend", "project")
    search_fields = ("^id", "^request_id")
    search_help_text = "A response id or request id, or how it begins"
    date_hierarchy = "created_at"
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
