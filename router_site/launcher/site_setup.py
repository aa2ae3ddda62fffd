"""`python -m router_site.launcher.site_setup`: what the database needs before the site serves, in one process.

Starting Django costs most of a second, hence one process for three questions. Prints JSON: `admin_password` is the
new administrator's (empty where there was one), `has_api_keys` says whether any API key exists.
"""

from __future__ import annotations

import io
import json
import os
import sys

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError

from router_site.launcher import migration_stamp


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "router_site.settings")
    try:
        sys.stdout.write(json.dumps(_set_up()))
    except (DatabaseError, ImproperlyConfigured) as error:
        sys.exit(f"The database cannot be used: {error}\nCheck DATABASE_URL.")


def _set_up() -> dict[str, object]:
    django.setup()
    # Models, and what imports them, only now.
    from django.db import connection

    from responses_api import api_keys

    call_command("migrate", interactive=False, verbosity=0)
    password = io.StringIO()
    call_command("ensure_admin", stdout=password)
    if connection.vendor == "sqlite":
        migration_stamp.write(connection, settings.BASE_DIR)
    return {"admin_password": password.getvalue().strip(), "has_api_keys": api_keys.any_key_exists()}


if __name__ == "__main__":
    main()
