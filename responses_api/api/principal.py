"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Principal:
    """The project that a key belongs to; `key_id` None: no key, where that is allowed."""

    project: str
    key_id: int | None = None


ANONYMOUS = Principal(DEFAULT_PROJECT)
