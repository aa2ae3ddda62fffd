"""`manage.py migrate_store --from … --to …`"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from responses_api.management.shelves import CONFIGURED, WHERE, failures_told, finish, shelf, summed
from responses_api.stores.transfer import copy


class Command(BaseCommand):
    help = "Copies responses (with their TTLs) and conversations into another Redis. Run it again to go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="source", default=CONFIGURED, help=f"{WHERE} (default: configured)")
        parser.add_argument("--to", dest="target", required=True, help=WHERE)
        parser.add_argument("--key-prefix", help="of both (default: each one's own)")

    def handle(self, *args: Any, **options: Any) -> None:
        prefix = options["key_prefix"]
        with shelf(options["source"], prefix) as source, shelf(options["target"], prefix) as target, failures_told():
            total = summed(copy(source, target), self.stderr.write)
        finish(total, self.stdout.write)
