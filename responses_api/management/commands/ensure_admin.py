"""`manage.py ensure_admin`"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = (
        "Makes the user 'admin' where no superuser exists, and prints the password it generated; else prints nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()
        if not users.objects.filter(is_superuser=True).exists():
            if users.objects.filter(username="admin").exists():
                raise CommandError("The user 'admin' is no superuser; make another: manage.py createsuperuser")
            password = secrets.token_urlsafe(12)
            users.objects.create_superuser(username="admin", password=password)
            self.stdout.write(password)
