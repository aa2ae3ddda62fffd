"""`manage.py create_api_key`"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from responses_api import api_keys
from responses_api.models import DEFAULT_PROJECT, Project

MAX_DAYS = 36_500


class Command(BaseCommand):
    help = "Makes an API key and prints its secret, this once. The project is made where it does not exist."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", default=DEFAULT_PROJECT, help="its name (default: %(default)s)")
        parser.add_argument("--name", required=True, help="who will use the key, for the list of keys")
        parser.add_argument("--expires-days", type=_days, help="how long it is good for (default: until revoked)")

    def handle(self, *args: Any, **options: Any) -> None:
        project, _ = Project.objects.get_or_create(name=options["project"])
        days = options["expires_days"]
        _, secret = api_keys.create_key(project, options["name"], timedelta(days=days) if days is not None else None)
        self.stdout.write(secret)


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} is no number of days from 1 to {MAX_DAYS}")
    return int(text)
