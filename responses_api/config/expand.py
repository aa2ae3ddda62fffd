"""`${VAR}` and `${VAR:-default}` in a value, from the environment. Pure.

Expansion works on parsed values, never on the YAML text: a password may contain `#`, `: ` or quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`text` with its references replaced; one that is unset and has no default becomes empty."""
    return _REFERENCE.sub(lambda match: _lookup(match, environ), text)


def unset_variables(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    """The names in `text` that have neither a value nor a default."""
    for match in _REFERENCE.finditer(text):
        if match["default"] is None and match["name"] not in environ:
            yield match["name"]


def _lookup(match: re.Match[str], environ: Mapping[str, str]) -> str:
    # As in a shell, `:-` also stands in for an empty variable.
    return environ.get(match["name"]) or match["default"] or ""
