"""Who revealed, deleted, drained, purged or changed what, and when."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from cache_admin import access
from cache_admin.models import OperatorAction
from cache_admin.page import page, render

PAGE_SIZE = 100


@page("audit/", "audit", sees=access.AUDIT)
def audit(request: HttpRequest) -> HttpResponseBase:
    asked = {name: request.GET.get(name, "").replace("\x00", "") for name in ("name", "action", "target")}
    given = {name: value for name, value in asked.items() if value}
    actions = OperatorAction.objects.all()
    if before := request.GET.get("before", ""):
        actions = actions.filter(pk__lt=int(before)) if before.isdigit() else actions.none()
    for field, value in given.items():
        actions = actions.filter(**{f"{field}__startswith" if field == "target" else field: value})
    found = list(actions.order_by("-pk")[: PAGE_SIZE + 1])
    context = {
        "title": "Audit",
        "actions": found[:PAGE_SIZE],
        "older": found[PAGE_SIZE - 1].pk if len(found) > PAGE_SIZE else None,
        "is_first": not before,
        "given": given,
        "names": OperatorAction.objects.order_by("name").values_list("name", flat=True).distinct()[:100],
        "kinds": OperatorAction.objects.order_by("action").values_list("action", flat=True).distinct()[:100],
    }
    return render(request, "audit", context)
