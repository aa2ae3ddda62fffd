"""Opaque strings that clients carry for us and cannot read or change: AES-256-GCM under keys of the gateway's own.

`rr1.` and base64url of key id (4 bytes), nonce (12 bytes) and ciphertext. Kind and project are authenticated with it:
another project's string, or one made for another purpose, does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PREFIX = "rr1."
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12


class BrokenSealError(ValueError):
    """A string that was not sealed here for this project and purpose, or was changed since."""


class Sealer:
    """`secrets`: the first seals, all open, so that they can be changed one by one. None: a key for this process."""

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = [_derive(secret.encode()) for secret in secrets] or [os.urandom(32)]
        self._ciphers = {hashlib.sha256(key).digest()[:_KEY_ID_BYTES]: AESGCM(key) for key in keys}
        self._key_id = next(iter(self._ciphers))

    def seal(self, kind: str, project: str, text: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._key_id].encrypt(nonce, text.encode(), _purpose(kind, project))
        return PREFIX + base64.urlsafe_b64encode(self._key_id + nonce + sealed).decode()

    def open(self, kind: str, project: str, sealed: str) -> str:
        """Raises `BrokenSealError`."""
        try:
            data = base64.b64decode(sealed.removeprefix(PREFIX), altchars=b"-_", validate=True)
            if PREFIX + base64.urlsafe_b64encode(data).decode() != sealed:
                raise BrokenSealError  # its last letter has bits that no byte is made of
            key_id, nonce = data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES : _KEY_ID_BYTES + _NONCE_BYTES]
            cipher = self._ciphers[key_id]
            return cipher.decrypt(nonce, data[_KEY_ID_BYTES + _NONCE_BYTES :], _purpose(kind, project)).decode()
        except (binascii.Error, KeyError, ValueError, InvalidTag) as error:
            raise BrokenSealError from error


def is_sealed_here(text: str) -> bool:
    """Does it look like ours? Another vendor's opaque strings are for that vendor's backend."""
    return text.startswith(PREFIX)


def _derive(secret: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"responses-router sealing").derive(secret)


def _purpose(kind: str, project: str) -> bytes:
    return f"{kind}\0{project}".encode()
