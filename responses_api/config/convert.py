"""Parsed YAML → the schema's dataclasses, by their type hints. Pure.

Wrong types are problems, unknown keys warnings; both by dotted path. Nothing stops at the first.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from responses_api.config.errors import Problem

T = TypeVar("T")

SECRET_KEYS = frozenset({"password", "api_key", "headers"})
MASK = "****"

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Converter:
    """Gathers `problems` and `warnings` while it converts."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def dataclass(self, shape: type[T], value: Any, path: str) -> T:
        """`value`, a mapping, as `shape`; fields that are absent or wrong keep their defaults."""
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self._wrong(path, value, "is not a mapping", "Write keys with values beneath it")
            value = {}
        hints = typing.get_type_hints(shape)
        known = {field.name for field in fields(shape)}  # type: ignore[arg-type]
        for key in value:
            if key not in known:
                self._warn_unknown(path, str(key), known)
        given = {
            name: self._convert(hints[name], value[name], _join(path, name))
            for name in known
            if name in value and value[name] is not None
        }
        for field in fields(shape):  # type: ignore[arg-type]
            if field.name not in given and field.default is MISSING and field.default_factory is MISSING:
                self._wrong(_join(path, field.name), None, "is missing", "Add it")
                given[field.name] = hints[field.name]()
        return shape(**{name: item for name, item in given.items() if item is not _INVALID})

    def _convert(self, hint: Any, value: Any, path: str) -> Any:
        origin = get_origin(hint)
        if is_dataclass(hint):
            return self.dataclass(typing.cast(type[Any], hint), value, path)
        if origin is Literal:
            return self._literal(get_args(hint), value, path)
        if origin is tuple:
            return self._list(get_args(hint)[0], value, path)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(get_args(hint)[1], value, path)
        if isinstance(hint, types.UnionType):
            hint = get_args(hint)[0]
        return self._scalar(hint, value, path)

    def _list(self, hint: Any, value: Any, path: str) -> Any:
        if not isinstance(value, list):
            return self._wrong(path, value, "is not a list", "Write '- ' before each entry")
        items = [self._convert(hint, item, f"{path}[{index}]") for index, item in enumerate(value)]
        return tuple(item for item in items if item is not _INVALID)

    def _mapping(self, hint: Any, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, value, "is not a mapping", "Write keys with values beneath it")
        items = {str(key): self._convert(hint, item, _join(path, key)) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _INVALID}

    def _literal(self, allowed: tuple[str, ...], value: Any, path: str) -> Any:
        if value in allowed:
            return value
        return self._wrong(path, value, "is unknown", f"Use one of: {', '.join(allowed)}")

    def _scalar(self, hint: type, value: Any, path: str) -> Any:
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
            return value
        # What came through ${VAR} is text.
        if isinstance(value, str) and hint is not str and (parsed := _parse(hint, value)) is not None:
            return parsed
        return self._wrong(path, value, f"is not {_WORDS[hint]}", f"Write {_WORDS[hint]}")

    def _wrong(self, path: str, value: Any, reason: str, remedy: str) -> Any:
        self.problems.append(Problem(path, mask(path, value), reason, remedy))
        return _INVALID

    def _warn_unknown(self, path: str, key: str, known: set[str]) -> None:
        near = difflib.get_close_matches(key, known, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        self.warnings.append(f"unknown key '{_join(path, key)}' is ignored{hint}")


_INVALID: Any = object()


def mask(path: str, value: Any) -> Any:
    """`value`, or `****` where a secret stands at `path`."""
    is_secret = not SECRET_KEYS.isdisjoint(path.replace("[", ".").split("."))
    return MASK if is_secret and value else value


def _parse(hint: type, text: str) -> Any:
    if hint is bool:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower())
    try:
        return hint(text)
    except ValueError:
        return None


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
