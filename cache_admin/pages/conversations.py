"""Conversations: those that were used lately, and one of them as a thread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from cache_admin import access, audit, rows, sources
from cache_admin.page import fragment, page, render
from cache_admin.rows import BadFilter, Cursor
from cache_admin.thread import Thread
from responses_api.conversations import OwnedConversation
from responses_api.errors import ConversationNotFound
from responses_api.models import ResponseIndex
from responses_api.paging import PageRequest
from responses_api.runtime import Runtime

SCANNED = 2000
"""Responses that one page of the list is gathered from."""
ITEMS = 100
_COLUMNS = ("id", "conversation", "project", "model", "created_at", "status", "input_tokens", "output_tokens")


@dataclass(slots=True)
class Listed:
    """A conversation by its responses among those looked at."""

    id: str
    project: str
    model: str
    last_at: datetime
    responses: int = 0
    failed: int = 0
    tokens: int = 0


@page("conversations/", "conversations")
def conversations(request: HttpRequest) -> HttpResponseBase:
    """Gathered from the index, newest first; one that no response has used yet is found by its id."""
    try:
        before = Cursor.parse(request.GET["before"]) if request.GET.get("before") else None
    except BadFilter:
        before = None
    used = ResponseIndex.objects.exclude(conversation="").order_by("-created_at", "-id").only(*_COLUMNS)
    if before is not None:
        used = used.filter(created_at__lte=before.created_at).exclude(created_at=before.created_at, id__gte=before.id)
    found: dict[str, Listed] = {}
    looked_at = list(used[:SCANNED])
    for row in looked_at:
        listed = found.setdefault(row.conversation, Listed(row.conversation, row.project, row.model, row.created_at))
        listed.responses += 1
        listed.failed += row.status == "failed"
        listed.tokens += row.input_tokens + row.output_tokens
    last = looked_at[-1] if len(looked_at) == SCANNED else None
    context = {
        "title": "Conversations",
        "conversations": list(found.values()),
        "older": f"?before={Cursor(last.created_at, last.id)}" if last else None,
        "is_first": before is None,
    }
    return render(request, "conversations", context)


@page("conversations/<str:conversation_id>/", "conversation")
def conversation(request: HttpRequest, conversation_id: str) -> HttpResponseBase:
    record, items = _inspect(conversation_id)
    used = ResponseIndex.objects.filter(rows.having("conversation", conversation_id))
    context = {
        "title": "Conversation",
        "id": conversation_id,
        "record": record,
        "project": sources.project_names().get(record.project, record.project),
        "used": used.order_by("-created_at", "-id")[:50],
        "items": items,
        "metadata": record.metadata if access.reveals(request) else {},
    }
    return render(request, "conversation", context)


@page("conversations/<str:conversation_id>/thread/", "conversation_thread")
def conversation_thread(request: HttpRequest, conversation_id: str) -> HttpResponseBase:
    """Its newest items in their order; `after` an item those before it."""
    (record, _), reveals = _inspect(conversation_id), access.reveals(request)
    if reveals:
        audit.record_reveal(request, conversation_id)
    wanted = PageRequest(limit=ITEMS, order="desc", after=request.GET.get("after"))

    async def read(runtime: Runtime) -> tuple[list[Any], bool]:
        found = await runtime.conversations.list_items(record.project, conversation_id, wanted)
        return list(found.items), found.has_more

    newest_first, has_more = sources.ask(read)
    read_thread = Thread(is_masked=not reveals).add(reversed(newest_first), is_input=False)
    here = reverse("admin:conversation_thread", args=[conversation_id])
    older = f"{here}?after={newest_first[-1]['id']}" if has_more else None
    return fragment(request, "thread", {"pieces": read_thread.pieces, "older": older})


@page("conversations/<str:conversation_id>/delete/", "conversation_delete", sees=access.OPERATE)
def delete(request: HttpRequest, conversation_id: str) -> HttpResponseBase:
    record, items = _inspect(conversation_id)
    here = reverse("admin:conversation", args=[conversation_id])
    if request.method == "POST":
        try:
            sources.ask(lambda runtime: runtime.conversations.delete(record.project, conversation_id))
        except ConversationNotFound:
            messages.warning(request, "It was gone already.")
        else:
            audit.record(request, "delete", conversation_id)
            messages.success(request, f"{conversation_id} is deleted.")
        return redirect("admin:conversations")
    responses = ResponseIndex.objects.filter(rows.having("conversation", conversation_id)).count()
    context = {
        "title": f"Delete {conversation_id}?",
        "goes": [f"the conversation with its {items:,} items"],
        "stays": [f"{responses:,} stored responses made in it, each until it expires"] if responses else [],
        "back": here,
        "verb": "Delete",
    }
    return render(request, "confirm", context)


def _inspect(conversation_id: str) -> tuple[OwnedConversation, int]:
    """Raises `Http404`, and `StoreUnavailable`."""
    try:
        return sources.ask(lambda runtime: runtime.conversations.inspect(conversation_id))
    except ConversationNotFound:
        raise Http404(f"There is no conversation '{conversation_id}': it was deleted, or never made.") from None
