"""Which migrations an SQLite database has seen, as a number in the database itself.

`PRAGMA user_version` is 32 bits that SQLite keeps for the application and Django leaves alone. It is copied, moved and
deleted with the database, as a stamp in a file beside it would not be. Reading it saves the second start the better
part of a second.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any


def is_current(database: Path, root: Path) -> bool:
    """True when `database` has all migrations of the code at `root`."""
    if not database.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        return False
    return found == _stamp(root)


def write(connection: Any, root: Path) -> None:
    """`connection` is Django's, all migrations having been applied."""
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA user_version = {_stamp(root)}")


def _stamp(root: Path) -> int:
    """31 bits over our migrations, and over the requirements for those of Django and its kin; never 0."""
    digest = 0
    for file in [root / "requirements.txt", *sorted(root.glob("*/migrations/*.py"))]:
        digest = zlib.crc32(str(file.relative_to(root)).encode() + file.read_bytes(), digest)
    return digest & 0x7FFF_FFFF or 1
