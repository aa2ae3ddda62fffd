"""ORM code outside of Django's requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connection

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(function: Callable[P, T]) -> Callable[P, T]:
    """For code in threads of ours: a connection that died in the meantime must not fail the next call."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if connection.in_atomic_block:  # somebody else's transaction, and so their connection
            return function(*args, **kwargs)
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return call
