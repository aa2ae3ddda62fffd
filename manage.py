#!/usr/bin/env python3
"""Django's entry point: `./manage.py <command>`, with whatever Python: what `./run` has prepared is used."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PREPARED = Path(__file__).resolve().parent / ".venv" / "bin" / "python"


def main() -> None:
    if find_spec("django") is None:
        if not PREPARED.exists() or Path(sys.prefix) == PREPARED.parent.parent:
            sys.exit("Django is not installed. './run --prepare' installs what is needed into .venv.")
        os.execv(PREPARED, [str(PREPARED), *sys.argv])  # noqa: S606 - our own interpreter
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "router_site.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
