"""Parsed YAML → the schema's dataclasses, by their type hints. Pure.

Wrong types and unset variables are problems, unknown keys warnings; all by dotted path. Nothing stops at the first.
Variables are expanded here, so that sections nobody reads may name unset ones.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from responses_api.config.errors import Problem
from responses_api.config.expand import expand, unset_variables
from responses_api.config.mask import mask

T = TypeVar("T")

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_REMEDIES = _WORDS | {str: "text, in quotes"}
_BOOLS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Converter:
    """Gathers `problems` and `warnings` while it converts; `${VAR}` comes from `environ`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def dataclass(self, shape: type[T], value: Any, path: str) -> T:
        """`value`, a mapping, as `shape`; fields that are absent or wrong keep their defaults."""
        hints = typing.get_type_hints(shape)
        if not isinstance(value, dict):
            self._wrong(path, value, "is not a mapping", "Write keys with values beneath it")
            return shape(**{name: hints[name]() for name in _required(shape)})
        self._warn_unknown(path, value, set(hints))
        given = {
            name: self._convert(hint, value[name], _join(path, name))
            for name, hint in hints.items()
            if value.get(name) is not None
        }
        for name in _required(shape):
            if name not in given:
                self._wrong(_join(path, name), None, "is missing", "Add it")
            if given.get(name, _INVALID) is _INVALID:
                given[name] = hints[name]()
        return shape(**{name: item for name, item in given.items() if item is not _INVALID})

    def _convert(self, hint: Any, value: Any, path: str) -> Any:
        if isinstance(hint, types.UnionType):
            hint = get_args(hint)[0]
        if is_dataclass(hint):
            return self.dataclass(typing.cast(type[Any], hint), value, path)
        if isinstance(value, str) and not self._has_variables(value, path):
            return _INVALID
        value = expand(value, self._environ) if isinstance(value, str) else value
        origin = get_origin(hint)
        if origin is Literal:
            return self._literal(get_args(hint), value, path)
        if origin is tuple:
            return self._list(get_args(hint)[0], value, path)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(get_args(hint)[1], value, path)
        return self._scalar(hint, value, path)

    def _list(self, hint: Any, value: Any, path: str) -> Any:
        if not isinstance(value, list):
            return self._wrong(path, value, "is not a list", "Write '- ' before each entry")
        items = [self._convert(hint, item, f"{path}[{index}]") for index, item in enumerate(value)]
        # A stand-in keeps the place, so that the checks name the others by their own.
        return tuple(hint() if item is _INVALID else item for item in items)

    def _mapping(self, hint: Any, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, value, "is not a mapping", "Write keys with values beneath it")
        empty: Any = {} if is_dataclass(hint) else None
        items = {
            str(key): self._convert(hint, empty if item is None else item, _join(path, key))
            for key, item in value.items()
        }
        return {key: item for key, item in items.items() if item is not _INVALID}

    def _literal(self, allowed: tuple[str, ...], value: Any, path: str) -> Any:
        if isinstance(value, bool) and "on" in allowed:
            # YAML 1.1 reads an unquoted `on` or `off` so.
            value = "on" if value else "off"
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
        return self._wrong(path, value, f"is not {_WORDS[hint]}", f"Write {_REMEDIES[hint]}")

    def _has_variables(self, text: str, path: str) -> bool:
        unset = list(unset_variables(text, self._environ))
        for name in unset:
            remedy = f"Set {name}, or write ${{{name}:-default}}"
            reason = f"the environment variable {name} is not set"
            self.problems.append(Problem(path, f"${{{name}}}", reason, remedy))
        return not unset

    def _wrong(self, path: str, value: Any, reason: str, remedy: str) -> Any:
        shown = mask(path, value)
        # Of a list or a mapping where none belongs nothing is shown: a secret may be anywhere in it.
        self.problems.append(Problem(path, None if isinstance(shown, list | dict) else shown, reason, remedy))
        return _INVALID

    def _warn_unknown(self, path: str, given: Mapping[Any, Any], known: set[str]) -> None:
        for key in given:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                self.warnings.append(f"unknown key '{_join(path, key)}' is ignored{hint}")


_INVALID: Any = object()


def _required(shape: type[Any]) -> list[str]:
    return [each.name for each in fields(shape) if each.default is MISSING and each.default_factory is MISSING]


def _parse(hint: type, text: str) -> Any:
    if hint is bool:
        return _BOOLS.get(text.lower())
    try:
        return hint(text)
    except ValueError:
        return None


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
