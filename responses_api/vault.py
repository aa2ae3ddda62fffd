"""Encryption at rest: what is written to Redis as nobody else can read it. AES-256-GCM, where keys are configured.

A locked value is a byte that no other value of ours begins with, the key's id (4 bytes), a salt (16) and a count (8),
then ciphertext and tag. Each process draws a salt and counts its values: with the salt it derives a key of its own,
under which no nonce comes twice, however many values there are. The place a value belongs to is authenticated with it:
moved under another key of Redis, it does not open. What was written before there were keys is read as it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import count

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from responses_api.errors import ApiError

MARK = b"\xe1"
_KEY_ID_BYTES, _SALT_BYTES, _COUNT_BYTES, _NONCE_BYTES = 4, 16, 8, 12
_HEAD_BYTES = len(MARK) + _KEY_ID_BYTES + _SALT_BYTES + _COUNT_BYTES
_INFO = b"responses-router at rest"


class LockedAwayError(ApiError):
    """A value that none of the configured keys opens, or that was changed; the message names the key's id."""

    def __init__(self, place: str, key_id: str) -> None:
        super().__init__(
            f"What is stored for '{place}' cannot be decrypted: it needs the key {key_id}, unchanged. "
            "An operator finds the ids of the configured keys with 'manage.py rotate_keys --list'.",
            code="store_encrypted",
        )


class Vault:
    """`secrets`: the first locks, all open. Without any, values are left as they are."""

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = [hashlib.sha256(secret.encode()).digest() for secret in secrets]
        self._keys = {hashlib.sha256(b"id" + key).digest()[:_KEY_ID_BYTES]: key for key in keys}
        self.is_on = bool(keys)
        self._open = lru_cache(maxsize=4096)(self._cipher)
        self._begin()
        # A child of this process counts on its own.
        os.register_at_fork(after_in_child=self._begin)

    @property
    def key_ids(self) -> list[str]:
        """As hex digits; the first is the one that locks."""
        return [each.hex() for each in self._keys]

    def lock(self, place: str, value: bytes) -> bytes:
        if not self.is_on:
            return value
        number = next(self._numbers).to_bytes(_COUNT_BYTES)
        return self._head + number + self._locking.encrypt(_nonce(number), value, place.encode())

    def open(self, place: str, value: bytes) -> bytes:
        """Raises `LockedAwayError`."""
        if not value.startswith(MARK):
            return value
        head, ciphertext = value[1:_HEAD_BYTES], value[_HEAD_BYTES:]
        key_id, salt, number = head[:_KEY_ID_BYTES], head[_KEY_ID_BYTES:-_COUNT_BYTES], head[-_COUNT_BYTES:]
        try:
            return self._open(key_id, salt).decrypt(_nonce(number), ciphertext, place.encode())
        except (KeyError, ValueError, InvalidTag) as error:
            raise LockedAwayError(place, key_id.hex()) from error

    def is_current(self, value: bytes) -> bool:
        """Is it locked as it would be now?"""
        return self.is_on and value[: 1 + _KEY_ID_BYTES] == self._head[: 1 + _KEY_ID_BYTES]

    def _begin(self) -> None:
        if not self.is_on:
            return
        key_id, salt = next(iter(self._keys)), os.urandom(_SALT_BYTES)
        self._head, self._numbers = MARK + key_id + salt, count()
        self._locking = self._cipher(key_id, salt)

    def _cipher(self, key_id: bytes, salt: bytes) -> AESGCM:
        """Raises `KeyError` for a key that is not ours."""
        return AESGCM(HKDF(hashes.SHA256(), 32, salt, _INFO).derive(self._keys[key_id]))


@lru_cache(maxsize=16)
def vault_of(secrets: tuple[str, ...]) -> Vault:
    """One for each process and configuration: each draws a salt."""
    return Vault(secrets)


def _nonce(number: bytes) -> bytes:
    return number.rjust(_NONCE_BYTES, b"\0")
