"""Who may do what in the console: three roles, made as groups, and the check that each page begins with.

A viewer sees everything but prompts and answers. An operator reads those and acts on what is there. An admin also
changes what there is: backends, projects, keys, webhooks, users.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q
from django.http import HttpRequest

SEE = "cache_admin.see"
REVEAL = "cache_admin.reveal"
OPERATE = "cache_admin.operate"
AUDIT = "cache_admin.view_operatoraction"

VIEWER, OPERATOR, ADMIN = "console viewer", "console operator", "console admin"
_REVEALED = "payloads_revealed"

_APPS = ("responses_api", "cache_admin")


def may(request: HttpRequest, permission: str) -> bool:
    return bool(request.user.has_perm(permission))


def reveals(request: HttpRequest) -> bool:
    """Are prompts and answers shown? To those who may read them, once they have asked to."""
    return may(request, REVEAL) and bool(request.session.get(_REVEALED))


def set_revealed(request: HttpRequest, *, revealed: bool) -> None:
    request.session[_REVEALED] = revealed


def make_roles(**_: Any) -> None:
    """The three groups, with at least these permissions; an operator may give them more."""
    ours = Permission.objects.filter(content_type__app_label__in=_APPS)
    seeing = ours.filter(Q(codename__startswith="view_") | Q(codename="see"))
    acting = ours.filter(codename__in=("reveal", "operate", "change_webhookendpoint"))
    managing = Permission.objects.filter(Q(content_type__app_label__in=_APPS) | Q(content_type__app_label="auth"))
    for name, granted in ((VIEWER, [seeing]), (OPERATOR, [seeing, acting]), (ADMIN, [managing])):
        group, _made = Group.objects.get_or_create(name=name)
        for permissions in granted:
            group.permissions.add(*permissions)
