"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from responses_api.limits import Allowance

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Principal:
    """The project that a key belongs to; `key_id` None: no key, where that is allowed."""

    project: str
    key_id: int | None = None
    allowances: tuple[Allowance, ...] = ()
    """The limits of both."""


ANONYMOUS = Principal(DEFAULT_PROJECT)
