"""What is kept in Redis, and the secrets in SQL, encrypted anew under the first of the configured keys.

Blocking, on redis-py's clients, standalone or Cluster, and the ORM, beside traffic: a value that changes meanwhile is
left to whoever changed it, who writes it under the first key anyway. Begun again, it goes on. Left out is what expires
soon: logs of events, answers that wait to be filed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Model, QuerySet, TextField
from django.db.models.functions import Cast

from responses_api.cache.entry import BANNED, ENTRY_PLACE
from responses_api.locked_field import LockedField
from responses_api.stores.layout import companion_key, conversation_key, literally, response_key
from responses_api.vault import LockedAwayError, Vault

_SCAN_COUNT = 1000
_RUN_FIELDS = ("request", "context", "outcome")
# KEYS: the key. ARGV: what it held, what it is to hold.
_SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""
# The same for a field of a hash, the last of ARGV.
_SWAP_FIELD = """
if redis.call('HGET', KEYS[1], ARGV[3]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[2])
return 1
"""


@dataclass(slots=True)
class Rotated:
    """`current` were so already; `unreadable` need a key that is not configured."""

    rewritten: int = 0
    current: int = 0
    unreadable: int = 0


def rotate(client: Any, prefix: str, cache_prefix: str, vault: Vault) -> Iterator[Rotated]:
    """The same tally again and again, as far as it has come. Raises what Redis raises."""
    rotator = _Rotator(client, vault)
    for key in client.scan_iter(match=literally(response_key(prefix, "")) + "*", count=_SCAN_COUNT):
        response_id = key.decode().removeprefix(response_key(prefix, ""))
        rotator.text(response_id, key)
        rotator.fields(response_id, companion_key(key.decode(), "run"), _RUN_FIELDS)
        yield rotator.done
    for key in client.scan_iter(match=literally(conversation_key(prefix, "")) + "*", count=_SCAN_COUNT):
        conversation_id = key.decode().removeprefix(conversation_key(prefix, ""))
        rotator.text(conversation_id, key)
        items = companion_key(key.decode(), "items")
        rotator.fields(conversation_id, items, client.hkeys(items))
        yield rotator.done
    for key in client.scan_iter(match=f"{{{literally(cache_prefix)}*}}:entry", count=_SCAN_COUNT):
        rotator.text(ENTRY_PLACE, key)
        yield rotator.done


def rotate_secrets(vault: Vault, done: Rotated) -> None:
    """The same for what the console was told; adds to the tally. Raises what the database raises."""
    for model in apps.get_app_config("responses_api").get_models():
        for field in model._meta.get_fields():
            if isinstance(field, LockedField):
                _rotate_column(model, field, vault, done)


def _rotate_column(model: type[Model], field: LockedField, vault: Vault, done: Rotated) -> None:
    # As SQL has it: the field itself would be decrypted.
    rows = QuerySet(model).annotate(held=Cast(field.name, TextField())).exclude(held="")
    for row_id, held in rows.values_list("pk", "held"):
        if field.is_current(held, vault):
            done.current += 1
            continue
        try:
            opened = field.opened(held, vault)
        except LockedAwayError:
            done.unreadable += 1
        else:
            done.rewritten += rows.filter(pk=row_id, held=held).update(**{field.name: opened})


class _Rotator:
    def __init__(self, client: Any, vault: Vault) -> None:
        self._client = client
        self._vault = vault
        self.done = Rotated()

    def text(self, place: str, key: bytes) -> None:
        held = self._client.get(key)
        anew = self._anew(place, held)
        if anew is not None:
            self.done.rewritten += self._client.eval(_SWAP, 1, key, held, anew)

    def fields(self, place: str, key: str, names: Any) -> None:
        names = list(names)
        for name, held in zip(names, self._client.hmget(key, names) if names else (), strict=True):
            anew = self._anew(place, held)
            if anew is not None:
                self.done.rewritten += self._client.eval(_SWAP_FIELD, 1, key, held, anew, name)

    def _anew(self, place: str, held: bytes | None) -> bytes | None:
        """None: there is nothing to do."""
        if held is None or held == BANNED:
            return None
        if self._vault.is_current(held):
            self.done.current += 1
            return None
        try:
            return self._vault.lock(place, self._vault.open(place, held))
        except LockedAwayError:
            self.done.unreadable += 1
            return None
