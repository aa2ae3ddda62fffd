"""`python -m router_site.launcher`: what `./run` becomes once the environment is in order."""

from __future__ import annotations

import sys
import time

from router_site.launcher.launch import launch
from router_site.launcher.options import parse_options
from router_site.launcher.problems import StartError, complain


def main() -> int:
    """The exit status: 0 when stopped on request, 1 for what is said on standard error, 2 for wrong options."""
    started_at = time.monotonic()
    options = parse_options(sys.argv[1:])
    try:
        launch(options, started_at)
    except StartError as error:
        complain(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
