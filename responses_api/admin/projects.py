"""Projects and their API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import DateTimeField, Field, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from responses_api import api_keys
from responses_api.models import ApiKey, Project

# The stubs know Django's generics, Django itself does not.
if TYPE_CHECKING:
    _ProjectAdmin = admin.ModelAdmin[Project]
    _ApiKeyAdmin = admin.ModelAdmin[ApiKey]
else:
    _ProjectAdmin = _ApiKeyAdmin = admin.ModelAdmin


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

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(db_field, DateTimeField) and field is not None:
            # Django's own label names neither of the two inputs.
            for name, widget in zip(("date", "time"), field.widget.widgets, strict=True):
                widget.attrs["aria-label"] = f"{db_field.verbose_name}, {name}"
        return field

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
