"""`${VAR}` and `${VAR:-default}` in values, from the environment. Pure.

Expansion works on parsed values, never on the YAML text: a password may contain `#`, `: ` or quotes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from responses_api.config.errors import Problem

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def expand(value: Any, environ: Mapping[str, str], problems: list[Problem], path: str = "") -> Any:
    """`value` with every string in it expanded; a variable that is unset and has no default is a problem."""
    if isinstance(value, dict):
        return {key: expand(item, environ, problems, _join(path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, environ, problems, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, str) and "${" in value:
        return _REFERENCE.sub(lambda match: _lookup(match, environ, problems, path), value)
    return value


def _lookup(match: re.Match[str], environ: Mapping[str, str], problems: list[Problem], path: str) -> str:
    name, default = match["name"], match["default"]
    # As in a shell, `:-` also stands in for an empty variable.
    found = environ.get(name)
    if found or (found is not None and default is None):
        return found
    if default is None:
        remedy = f"Set {name}, or write ${{{name}:-default}}"
        problems.append(Problem(path, match[0], f"the environment variable {name} is not set", remedy))
        return ""
    return default


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
