"""API keys: made once, shown once, stored as HMAC-SHA256. Blocking ORM calls; the event loop runs them in a thread."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from responses_api.models import ApiKey, Project
from responses_api.orm_threads import in_thread

SECRET_PREFIX = "rr-"  # noqa: S105 - how a secret begins
SHOWN = len(SECRET_PREFIX) + 8
"""Characters of a secret that are kept, to tell keys apart."""


def create_key(project: Project, name: str, lifetime: timedelta | None = None) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can be shown again."""
    key = ApiKey(project=project, name=name, expires_at=timezone.now() + lifetime if lifetime else None)
    return key, issue(key)


def issue(key: ApiKey) -> str:
    """Saves a new key with a fresh secret, and returns the secret."""
    secret = f"{SECRET_PREFIX}{secrets.token_urlsafe(32)}"
    key.prefix = secret[:SHOWN]
    key.digest = digest(secret)
    key.save()
    return secret


def digest(secret: str) -> str:
    """64 hex digits. With a pepper, so that a stolen table alone verifies nothing."""
    return hmac.new(settings.ROUTER_API_KEY_PEPPER.encode(), secret.encode(), hashlib.sha256).hexdigest()


@in_thread
def find_active_key(secret: str) -> ApiKey | None:
    """The key of this secret with its project, unless revoked or expired."""
    unexpired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return ApiKey.objects.select_related("project").filter(unexpired, digest=digest(secret), revoked_at=None).first()


@in_thread
def any_key_exists() -> bool:
    """Was a key ever made? Revoked ones count: revoking the last key must not open the door."""
    return ApiKey.objects.exists()


@in_thread
def record_use(key_id: int) -> None:
    ApiKey.objects.filter(pk=key_id).update(last_used_at=timezone.now())
