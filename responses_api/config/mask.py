"""What of a configuration may be shown. Pure."""

from __future__ import annotations

import re
from typing import Any

SECRET_KEYS = frozenset({"password", "api_key", "headers", "sealing_secrets", "encryption_keys"})
MASK = "****"

# To the last @: what an unescaped / or @ leaves of a password must not show either.
_URL_CREDENTIALS = re.compile(r"(?<=://)\S+(?=@)")


def mask(path: str, value: Any) -> Any:
    """`value`, or `****` where a secret stands at `path`, or in place of a URL's credentials."""
    if value in (None, ""):
        return value
    if not SECRET_KEYS.isdisjoint(path.replace("[", ".").split(".")):
        return MASK
    return mask_url(value) if isinstance(value, str) else value


def mask_url(text: str) -> str:
    """`http://user:password@host/v1` → `http://****@host/v1`."""
    return _URL_CREDENTIALS.sub(MASK, text)
