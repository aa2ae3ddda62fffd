"""`manage.py import_store FILE`"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from responses_api.management.shelves import CONFIGURED, WHERE, failures_told, finish, opened, shelf, summed
from responses_api.stores.transfer import read_lines


class Command(BaseCommand):
    help = "Reads what `export_store` wrote. What is there already is left alone: run it again to go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="to read; - for standard input")
        parser.add_argument("--to", dest="target", default=CONFIGURED, help=f"{WHERE} (default: configured)")

    def handle(self, *args: Any, **options: Any) -> None:
        with shelf(options["target"]) as target, opened(options["file"], "rb") as file, failures_told():
            total = summed(read_lines(file, target), self.stderr.write)
        finish(total, self.stdout.write)
