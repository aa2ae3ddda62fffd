"""Webhook endpoints and the log of their deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from responses_api import tasks
from responses_api.configured import router_config
from responses_api.models import WebhookDelivery, WebhookEndpoint
from responses_api.webhooks import deliveries
from responses_api.webhooks.addresses import AddressRefused, check_url

if TYPE_CHECKING:
    _WebhookEndpointAdmin = admin.ModelAdmin[WebhookEndpoint]
    _WebhookDeliveryAdmin = admin.ModelAdmin[WebhookDelivery]
    _WebhookEndpointForm = forms.ModelForm[WebhookEndpoint]
else:
    _WebhookEndpointAdmin = _WebhookDeliveryAdmin = admin.ModelAdmin
    _WebhookEndpointForm = forms.ModelForm


class WebhookEndpointForm(_WebhookEndpointForm):
    """Refuses at once what would be refused with each delivery."""

    events = forms.MultipleChoiceField(
        choices=[(each, each) for each in deliveries.EVENT_TYPES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None chosen means all.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = ("project", "url", "description", "events", "is_active")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            check_url(url, allow_private=router_config().webhooks.allow_private_addresses)
        except AddressRefused as error:
            raise forms.ValidationError(
                f"This would never be called: {error}. Deliveries go to public addresses by https, unless "
                "'webhooks.allow_private_addresses' is set."
            ) from None
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(_WebhookEndpointAdmin):
    """A secret is shown when it is made; who loses it rotates it."""

    form = WebhookEndpointForm
    list_display = ("__str__", "project", "url", "is_active", "created_at")
    list_select_related = ("project",)
    list_filter = ("is_active", "project")
    search_fields = ("url", "description", "project__name")
    actions = ("send_test", "rotate_secret")

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> tuple[str, ...]:
        return () if obj is None else ("project", "created_at", "old_secret_until")

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            messages.warning(request, f"The signing secret, shown this once: {obj.secret}")

    @admin.action(description="Send a test event", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        active = list(queryset.filter(is_active=True))
        for endpoint in active:
            deliveries.announce_test(endpoint, timezone.now())
        tasks.send_webhooks_soon()
        messages.success(request, f"{len(active)} on their way; the webhook deliveries show what came of them.")
        if skipped := queryset.count() - len(active):
            messages.warning(request, f"{skipped} not sent: switched off.")

    @admin.action(description="Rotate the signing secret", permissions=["change"])
    def rotate_secret(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            secret = deliveries.rotate_secret(endpoint, timezone.now())
            messages.warning(
                request,
                f"The new signing secret of {endpoint}, shown this once: {secret} (the old one signs for a day)",
            )


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(_WebhookDeliveryAdmin):
    """Read-only, but for sending again."""

    list_display = (
        "created_at",
        "type",
        "response_id",
        "endpoint",
        "state",
        "attempts",
        "last_status",
        "last_error",
        "next_attempt",
        "delivered_at",
    )
    list_select_related = ("endpoint",)
    list_filter = ("state", "type", "endpoint")
    search_fields = ("=response_id", "=event_id")
    date_hierarchy = "created_at"
    show_full_result_count = False
    list_per_page = 50
    actions = ("send_again",)

    @admin.display(description="next attempt", ordering="next_attempt_at")
    def next_attempt(self, delivery: WebhookDelivery) -> Any:
        return delivery.next_attempt_at if delivery.state == "pending" else None

    def has_send_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("responses_api.change_webhookendpoint")

    @admin.action(description="Send again", permissions=["send_again"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        again = deliveries.send_again(queryset, timezone.now())
        tasks.send_webhooks_soon()
        messages.success(request, f"{again} on their way.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
