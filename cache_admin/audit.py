"""Writes down who did what, when: what the console's own pages do, and what its forms change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.http import HttpRequest
from django.utils import timezone

from cache_admin.models import OperatorAction

REVEAL = "reveal"
REVEALED_AGAIN = timedelta(minutes=10)
"""Reading the same thing within this time is one act."""

_FORMS = {ADDITION: "add", CHANGE: "change", DELETION: "delete"}


def record(request: HttpRequest, action: str, target: str, details: str = "") -> None:
    user: Any = request.user
    OperatorAction.objects.create(
        operator=user, name=user.get_username(), action=action, target=target[:200], details=details[:2000]
    )


def record_reveal(request: HttpRequest, target: str) -> None:
    """An operator has been shown what somebody said."""
    user: Any = request.user
    since = timezone.now() - REVEALED_AGAIN
    if not OperatorAction.objects.filter(target=target, at__gt=since, operator=user, action=REVEAL).exists():
        record(request, REVEAL, target)


def note_form(instance: LogEntry, created: bool, **_: Any) -> None:
    """Django's own log of its forms goes into the same book."""
    if not created:
        return
    kind = instance.content_type.name if instance.content_type else "object"
    OperatorAction.objects.create(
        operator_id=instance.user_id,
        name=instance.user.get_username(),
        action=_FORMS.get(instance.action_flag, "change"),
        target=f"{kind} {instance.object_repr}"[:200],
        details=instance.get_change_message()[:2000],
    )
