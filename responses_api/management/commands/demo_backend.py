from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from responses_api.demo_backend import server


class Command(BaseCommand):
    help = server.HELP
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        server.add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        server.serve(options)
