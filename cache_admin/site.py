"""Django's admin site as this console: its menu, its own pages beside the stock ones, and the overview in front."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, URLResolver, path, reverse

from cache_admin import access
from cache_admin.page import pages


@dataclass(frozen=True, slots=True)
class Link:
    """`name` is the page's, below `admin:`; others that belong to it begin with it."""

    label: str
    name: str
    needs: str = access.SEE


MENU: tuple[tuple[str, tuple[Link, ...]], ...] = (
    (
        "Traffic",
        (
            Link("Overview", "index"),
            Link("Responses", "responses"),
            Link("Live tail", "tail"),
            Link("Conversations", "conversations"),
        ),
    ),
    (
        "Cache",
        (
            Link("Overview", "cache"),
            Link("Entries", "entries"),
            Link("Purge", "purge", access.OPERATE),
            Link("Explain", "explain"),
        ),
    ),
    (
        "Machinery",
        (
            Link("Backends", "backends"),
            Link("Playground", "playground", access.OPERATE),
            Link("Redis", "redis"),
            Link("Workers", "workers"),
        ),
    ),
    (
        "Webhooks",
        (
            Link("Endpoints", "responses_api_webhookendpoint_changelist", "responses_api.view_webhookendpoint"),
            Link("Deliveries", "responses_api_webhookdelivery_changelist", "responses_api.view_webhookdelivery"),
        ),
    ),
    (
        "Access",
        (
            Link("Projects", "responses_api_project_changelist", "responses_api.view_project"),
            Link("API keys", "responses_api_apikey_changelist", "responses_api.view_apikey"),
            Link("Users", "auth_user_changelist", "auth.view_user"),
            Link("Audit", "audit", access.AUDIT),
        ),
    ),
)


class ConsoleSite(AdminSite):
    site_header = site_title = "responses-router"
    index_title = "Overview"
    enable_nav_sidebar = True
    site_url = None

    def get_urls(self) -> list[URLPattern | URLResolver]:
        # Each module registers its pages when it is imported; importing them sooner would be a circle.
        from cache_admin import pages as modules

        modules.load()
        ours: list[URLPattern | URLResolver] = [
            path(each.route, self.admin_view(each.view), name=each.name) for each in pages()
        ]
        return ours + super().get_urls()

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "menu": _menu(request), "reveals": access.reveals(request)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from cache_admin.pages.overview import overview

        return cast(TemplateResponse, overview(request))


def _menu(request: HttpRequest) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Groups of (label, address, is it the page we are on), as far as this operator may go."""
    shown, current = [], request.path
    addresses = {link: _address(link.name) for _, links in MENU for link in links}
    # The longest address that the path begins with is where we are.
    here = max((each for each in addresses.values() if current.startswith(each)), key=len, default="")
    for title, links in MENU:
        allowed = [
            (link.label, addresses[link], addresses[link] == here) for link in links if access.may(request, link.needs)
        ]
        if allowed:
            shown.append((title, allowed))
    return shown


@cache
def _address(name: str) -> str:
    try:
        return reverse(f"admin:{name}")
    except NoReverseMatch:
        return ""
