"""`manage.py export_store FILE`"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from responses_api.management.shelves import CONFIGURED, WHERE, failures_told, opened, shelf
from responses_api.stores.transfer import write_lines


class Command(BaseCommand):
    help = "Writes responses and conversations as JSON Lines, one a line, with the time each expires."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="to write; - for standard output")
        parser.add_argument("--from", dest="source", default=CONFIGURED, help=f"{WHERE} (default: configured)")

    def handle(self, *args: Any, **options: Any) -> None:
        with shelf(options["source"]) as source, opened(options["file"], "wb") as file, failures_told():
            lines = sum(write_lines(source, file))
        self.stderr.write(f"{lines:,} exported.")
