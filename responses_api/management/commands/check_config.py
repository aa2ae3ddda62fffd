"""`manage.py check_config [FILE]`"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from responses_api.config.errors import ConfigError
from responses_api.config.load import load_config
from responses_api.config.show import to_yaml


class Command(BaseCommand):
    help = "Prints the effective configuration, secrets masked; fails with key, value and remedy where it is wrong."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, default=settings.ROUTER_CONFIG)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = load_config(options["file"], os.environ)
        except ConfigError as error:
            raise CommandError(f"The configuration cannot be used:\n{error}") from None
        self.stdout.write(to_yaml(loaded.config))
        for warning in loaded.warnings:
            self.stderr.write(f"warning: {warning}")
