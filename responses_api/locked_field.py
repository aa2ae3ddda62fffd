"""Secrets in SQL: columns that only a process with the configuration's `encryption_keys` can read, where it has any."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from django.db import models

from responses_api.configured import router_config
from responses_api.vault import Vault, vault_of

if TYPE_CHECKING:
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField

_MARK = "locked:"
"""Before what is encrypted. Anything else is as it was typed: it was written without keys."""


class LockedField(_TextField):
    """Text, encrypted on its way to SQL and decrypted on its way back; its column is part of what is authenticated.

    Not to be searched for. Reading a row raises `LockedAwayError` where no configured key opens it: an empty secret in
    its place would be saved over it.
    """

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        vault = _vault()
        if not value or not vault.is_on:
            return value
        return _MARK + urlsafe_b64encode(vault.lock(self.place, value.encode())).decode()

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return self.opened(value, _vault()) if value else value

    def opened(self, stored: str, vault: Vault) -> str:
        """What SQL has → what was saved. Raises `LockedAwayError`."""
        if not stored.startswith(_MARK):
            return stored
        return vault.open(self.place, urlsafe_b64decode(stored.removeprefix(_MARK))).decode()

    def is_current(self, stored: str, vault: Vault) -> bool:
        """Is it encrypted as it would be now?"""
        return stored.startswith(_MARK) and vault.is_current(urlsafe_b64decode(stored.removeprefix(_MARK)))

    @property
    def place(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"


def _vault() -> Vault:
    return vault_of(router_config().encryption_keys)
