"""What keeps the site from starting, and how the launcher speaks."""

from __future__ import annotations

import sys


class StartError(Exception):
    """The site cannot start or go on; `str()` is what the terminal shows: what is wrong, and the remedy."""


def say(text: str) -> None:
    """One line on the terminal, at once, also where standard output is a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
