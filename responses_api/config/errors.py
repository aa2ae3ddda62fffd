"""What is wrong with a configuration: every problem at once, each in one line with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`key` is the dotted path, `value` what stands there (already masked when secret), `remedy` what to do."""

    key: str
    value: object
    reason: str
    remedy: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" = {self.value!r}"
        return f"{self.key}{shown}: {self.reason}. {self.remedy}."


class ConfigError(Exception):
    """The configuration cannot be used; `str()` gives one line a problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
