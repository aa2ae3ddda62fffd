"""Secrets in SQL: columns that only a process with the configuration's `encryption_keys` can read, where it has any."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from responses_api.configured import router_config
from responses_api.vault import MARK, Vault, vault_of

if TYPE_CHECKING:
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField

_MARK = "locked:"
"""Before what is encrypted."""


class _Stored(str):
    """As SQL has it, and nobody has asked for it yet."""

    __slots__ = ()


class _Opened(DeferredAttribute):
    """Decrypts when it is asked for, so that whoever wants the rest of a row gets it without the key."""

    field: LockedField

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        value = super().__get__(instance, owner)
        if isinstance(value, _Stored):
            value = instance.__dict__[self.field.attname] = self.field.opened(value, _vault())
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class LockedField(_TextField):
    """Text that is encrypted in SQL; its column is part of what is authenticated. Not to be searched for.

    Where no configured key opens it, to ask a row for it, or to save all of the row, raises `LockedAwayError`: an empty
    secret in its place would be saved over it.
    """

    descriptor_class = _Opened

    def get_prep_value(self, value: Any) -> Any:
        value, vault = super().get_prep_value(value), _vault()
        if not value or not vault.is_on:
            return value
        return _MARK + urlsafe_b64encode(vault.lock(self.place, value.encode())).decode()

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return _Stored(value) if value else value

    def opened(self, stored: str, vault: Vault) -> str:
        """What SQL has → what was saved. Raises `LockedAwayError`."""
        locked = _locked(stored)
        return str(stored) if locked is None else vault.open(self.place, locked).decode()

    def is_current(self, stored: str, vault: Vault) -> bool:
        """Is it encrypted as it would be now?"""
        locked = _locked(stored)
        return locked is not None and vault.is_current(locked)

    @property
    def place(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"


def _locked(stored: str) -> bytes | None:
    """What the vault made; None: it is as it was typed, whatever it begins with."""
    if not stored.startswith(_MARK):
        return None
    try:
        value = urlsafe_b64decode(stored.removeprefix(_MARK))
    except ValueError:
        return None
    return value if value.startswith(MARK) else None


def _vault() -> Vault:
    return vault_of(router_config().encryption_keys)
