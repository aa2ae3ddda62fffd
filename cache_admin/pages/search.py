"""One box for any id: a whole one leads to its page, the beginning of one to what begins so."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from cache_admin import access, rows, sources
from cache_admin.page import page, render
from responses_api.api_keys import SECRET_PREFIX, SHOWN
from responses_api.cache.entry import digest_of
from responses_api.errors import ConversationNotFound
from responses_api.models import ApiKey, BackendEndpoint, Project, ResponseIndex, WebhookDelivery

MAX_FOUND = 50
MIN_CHARS = 3


@dataclass(frozen=True, slots=True)
class Match:
    """`kind` in words, `text` what was found, `about` a little of it, `where` its page."""

    kind: str
    text: str
    about: str
    where: str


@page("search/", "search")
def search(request: HttpRequest) -> HttpResponseBase:
    asked = request.GET.get("q", "").replace("\x00", "").strip()
    if (where := _exactly(asked)) is not None:
        return redirect(where)
    too_short = 0 < len(asked) < MIN_CHARS
    found = [] if too_short or not asked else _beginning(request, asked)
    if len(found) == 1:
        return redirect(found[0].where)
    return render(request, "search", {"title": "Search", "asked": asked, "found": found, "too_short": too_short})


def _exactly(asked: str) -> str | None:
    """The page of what has exactly this id."""
    if digest_of(asked) is not None:
        return reverse("admin:entry", args=[asked])
    if asked.startswith("conv_") and _is_conversation(asked):
        return reverse("admin:conversation", args=[asked])
    if asked and ResponseIndex.objects.filter(pk=asked).exists():
        return reverse("admin:response", args=[asked])
    return None


def _is_conversation(conversation_id: str) -> bool:
    try:
        sources.ask(lambda runtime: runtime.conversations.inspect(conversation_id))
    except ConversationNotFound:
        return False
    return True


def _beginning(request: HttpRequest, asked: str) -> list[Match]:
    by_id = ResponseIndex.objects.filter(rows.with_prefix("id", asked)).order_by("id")[:MAX_FOUND]
    found = [_response(row, "response") for row in by_id]
    by_request = ResponseIndex.objects.filter(rows.with_prefix("request_id", asked)).exclude(
        pk__in=[row.pk for row in by_id]
    )
    found += [_response(row, f"request {row.request_id}") for row in by_request[:MAX_FOUND]]
    if asked.startswith("conv_"):
        used = ResponseIndex.objects.filter(rows.with_prefix("conversation", asked)).exclude(conversation="")
        found += [
            Match("conversation", each, "", reverse("admin:conversation", args=[each]))
            for each in used.values_list("conversation", flat=True).distinct()[:MAX_FOUND]
        ]
    if asked.startswith("evt_"):
        found += [
            Match("webhook delivery", each.event_id, each.state, reverse("admin:response", args=[each.response_id]))
            for each in WebhookDelivery.objects.filter(event_id=asked)[:MAX_FOUND]
        ]
    return found + _named(request, asked)


def _named(request: HttpRequest, asked: str) -> list[Match]:
    """Keys by the beginning of their secret or name, projects, backends: there are few of them."""
    found = []
    if access.may(request, "responses_api.view_apikey"):
        is_secret = asked.startswith(SECRET_PREFIX)
        keys = ApiKey.objects.filter(Q(prefix__startswith=asked[:SHOWN]) if is_secret else Q(name__istartswith=asked))
        found += [
            Match("API key", str(key), key.state, reverse("admin:responses_api_apikey_change", args=[key.pk]))
            for key in keys[:MAX_FOUND]
        ]
    if access.may(request, "responses_api.view_project"):
        projects = Project.objects.filter(Q(public_id__startswith=asked) | Q(name__istartswith=asked))
        found += [
            Match("project", each.name, each.public_id, reverse("admin:responses_api_project_change", args=[each.pk]))
            for each in projects[:MAX_FOUND]
        ]
    backends = BackendEndpoint.objects.filter(name__istartswith=asked)[:MAX_FOUND]
    return found + [Match("backend", each.name, each.state, reverse("admin:backends")) for each in backends]


def _response(row: ResponseIndex, kind: str) -> Match:
    about = f"{row.model} · {row.status} · {row.created_at:%F %T}"
    return Match(kind, row.id, about, reverse("admin:response", args=[row.id]))
