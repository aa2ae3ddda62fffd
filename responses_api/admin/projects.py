"""Projects and their API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import DateTimeField, Field, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from responses_api import api_keys, limits
from responses_api.configured import router_config
from responses_api.models import ApiKey, Project

# The stubs know Django's generics, Django itself does not.
if TYPE_CHECKING:
    _ProjectAdmin = admin.ModelAdmin[Project]
    _ApiKeyAdmin = admin.ModelAdmin[ApiKey]
else:
    _ProjectAdmin = _ApiKeyAdmin = admin.ModelAdmin


LIMITS = ("requests_per_minute", "tokens_per_minute", "tokens_per_month", "money_per_month", "runs_at_once")
_SHOWN = ("prefix", "used_this_month", "created_at", "revoked_at", "last_used_at")


def _used(project: Project, subject: str) -> str:
    """Counted of those that have a limit."""
    api = router_config().response_api
    try:
        client = get_redis_connection("default")
        used = limits.used_this_month(client, api.redis.key_prefix, project.public_id, subject)
    except RedisError:
        return "unknown: Redis does not answer"
    money = f", {used.micros / 1e6:,.2f} in money" if used.micros else ""
    return f"{used.tokens:,} tokens{money}"


@admin.register(Project)
class ProjectAdmin(_ProjectAdmin):
    list_display = ("name", "public_id", *LIMITS, "used_this_month")
    search_fields = ("name", "public_id")
    fields = ("name", "public_id", *LIMITS, "used_this_month", "created_at")
    readonly_fields = ("public_id", "used_this_month", "created_at")

    @admin.display(description="used this month")
    def used_this_month(self, project: Project) -> str:
        return _used(project, "project")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Stored responses carry its id and would belong to nobody.
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(_ApiKeyAdmin):
    """Keys are made and revoked, not edited; a secret is shown once, right after it was made."""

    list_display = ("name", "project", "prefix", "state", *LIMITS, "used_this_month", "expires_at", "last_used_at")
    list_select_related = ("project",)
    list_filter = ("project",)
    search_fields = ("name", "prefix", "project__name")
    fields = ("project", "name", "expires_at", *LIMITS)
    actions = ("revoke",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Deleting the last key would open the door that revoking it keeps shut.
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return () if obj is None else ("project", *_SHOWN)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.fields if obj is None else (*self.fields, *_SHOWN)

    @admin.display(description="used this month")
    def used_this_month(self, key: ApiKey) -> str:
        return _used(key.project, key.subject)

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
