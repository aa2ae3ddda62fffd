"""The switch between masked and readable prompts and answers, for the rest of an operator's session."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from cache_admin import access, audit
from cache_admin.page import page


@page("reveal/", "reveal", sees=access.REVEAL, acts=access.REVEAL)
def reveal(request: HttpRequest) -> HttpResponseBase:
    back = request.POST.get("back", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}):
        back = reverse("admin:index")
    if request.method == "POST":
        revealed = request.POST.get("revealed") == "1"
        access.set_revealed(request, revealed=revealed)
        audit.record(request, "unmask" if revealed else "mask", "payloads")
    return redirect(back)
