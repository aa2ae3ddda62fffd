"""Backends beside those of the configuration, and those that are drained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from responses_api import listed_backends
from responses_api.models import BackendEndpoint

if TYPE_CHECKING:
    _BackendAdmin = admin.ModelAdmin[BackendEndpoint]
    _BackendForm = forms.ModelForm[BackendEndpoint]
else:
    _BackendAdmin, _BackendForm = admin.ModelAdmin, forms.ModelForm


class BackendForm(_BackendForm):
    """Refuses what could not work; a key is taken, never shown."""

    class Meta:
        model = BackendEndpoint
        fields = ("name", "state", "base_url", "served_models", "weight", "api", "max_tokens_field", "api_key")
        widgets = {"api_key": forms.PasswordInput(attrs={"autocomplete": "off"})}
        help_texts = {"api_key": "Empty: the one it has, if any."}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not cleaned.get("api_key") and self.instance.pk:
            cleaned["api_key"] = self.initial.get("api_key", "")
        if not self.errors:
            listed_backends.check(BackendEndpoint(**cleaned))
        return cleaned


@admin.register(BackendEndpoint)
class BackendEndpointAdmin(_BackendAdmin):
    """Effective in every process within two seconds."""

    form = BackendForm
    list_display = ("name", "state", "base_url", "served_models", "weight", "api", "changed_at")
    list_filter = ("state",)
    search_fields = ("name", "base_url", "served_models")
    actions = ("drain", "activate")

    @admin.action(description="Drain: finish what runs, start nothing", permissions=["change"])
    def drain(self, request: HttpRequest, queryset: QuerySet[BackendEndpoint]) -> None:
        drained = queryset.update(state=BackendEndpoint.State.DRAINED)
        messages.success(request, f"{drained} drained; processes notice within two seconds.")

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[BackendEndpoint]) -> None:
        activated = queryset.update(state=BackendEndpoint.State.ACTIVE)
        messages.success(request, f"{activated} active; processes notice within two seconds.")
