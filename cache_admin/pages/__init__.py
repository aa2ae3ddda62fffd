"""The console's own pages, one module for each kind of thing an operator looks at."""

from __future__ import annotations

from importlib import import_module

_MODULES = (
    "overview",
    "search",
    "responses",
    "export",
    "chains",
    "conversations",
    "tail",
    "cache",
    "entries",
    "purge",
    "explain",
    "backends",
    "playground",
    "redis",
    "workers",
    "reveal",
    "audit",
)


def load() -> None:
    """Registers all of them."""
    for name in _MODULES:
        import_module(f"{__name__}.{name}")
