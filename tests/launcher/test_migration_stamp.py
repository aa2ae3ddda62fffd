from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper

from router_site.launcher import migration_stamp


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What of a repository counts."""
    (tmp_path / "app" / "migrations").mkdir(parents=True)
    (tmp_path / "app" / "migrations" / "0001_initial.py").write_text("one")
    (tmp_path / "requirements.txt").write_text("django==5.2.1")
    return tmp_path


@pytest.fixture
def database(root: Path, django_db_blocker: Any) -> Path:
    path = root / "router.sqlite3"
    wrapper = DatabaseWrapper(connections.settings["default"] | {"NAME": path})
    with django_db_blocker.unblock():
        migration_stamp.write(wrapper, root)
    wrapper.close()
    return path


def test_a_stamped_database_is_current(database: Path, root: Path) -> None:
    assert migration_stamp.is_current(database, root)


def test_a_new_migration_or_another_django_is_noticed(database: Path, root: Path) -> None:
    (root / "requirements.txt").write_text("django==5.2.2")
    assert not migration_stamp.is_current(database, root)
    (root / "requirements.txt").write_text("django==5.2.1")
    (root / "app" / "migrations" / "0002_more.py").write_text("two")
    assert not migration_stamp.is_current(database, root)


def test_a_database_that_is_gone_empty_or_no_database_is_not_current(database: Path, root: Path) -> None:
    database.write_bytes(b"")
    assert not migration_stamp.is_current(database, root)
    database.write_text("something else entirely, but long enough to be looked at as if it were one" * 9)
    assert not migration_stamp.is_current(database, root)
    database.unlink()
    assert not migration_stamp.is_current(database, root)
    assert not database.exists()
