"""What the operator reads once the parts run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from router_site.launcher.child import Child
from router_site.launcher.problems import say

ADMIN = "admin"


def tell_password(password: str) -> None:
    """At once, not with the rest: it is made only this time, and what follows may fail."""
    say(f"Made the console's first user: {ADMIN}, password {password} (shown only now; change it in the console)")


def show_parts(children: Sequence[Child]) -> None:
    rows = [("part", "address", "pid", "log")]
    rows += [(child.part.name, child.part.address, str(child.pid), _shown_path(child.log)) for child in children]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_how_to_use(url: str, model: str, *, wants_key: bool) -> None:
    body = json.dumps({"model": model or "YOUR-MODEL", "input": "Say hello."})
    key = ' -H "authorization: Bearer $ROUTER_API_KEY"' if wants_key else ""
    say(f"Console  {url}/admin/  (user {ADMIN})")
    say(f"Try it   curl {url}/v1/responses -H 'content-type: application/json'{key} -d '{body}'")


def _shown_path(path: Path) -> str:
    """Relative to where the operator is, if that is shorter."""
    relative = os.path.relpath(path)
    return min(relative, str(path), key=len)
