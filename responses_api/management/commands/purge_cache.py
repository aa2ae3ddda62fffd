"""`manage.py purge_cache`"""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from responses_api.cache.invalidation import Purged, Target
from responses_api.configured import router_config
from responses_api.models import DEFAULT_PROJECT, Project
from responses_api.redis.pool import CONNECTION_ERRORS
from responses_api.runtime import Runtime


class Command(BaseCommand):
    help = "Purges a project's cached answers, in all processes at once. Without --yes it only counts them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", default=DEFAULT_PROJECT, help="its name (default: %(default)s)")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--all", action="store_true", help="everything")
        what.add_argument("--model", help="what this model answered")
        what.add_argument("--namespace", help="what was asked with this x-cache-key")
        what.add_argument("--tag", action="append", help="what carries this tag; may be given again")
        parser.add_argument("--yes", action="store_true", help="do it")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(name=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project named '{options['project']}'.")
        try:
            purged = asyncio.run(_purge(project.public_id, _target(options), dry_run=not options["yes"]))
        except CONNECTION_ERRORS as error:
            raise CommandError(f"Redis does not answer: {error}") from None
        if purged is None:
            raise CommandError("There is no cache: no Redis is configured.")
        told = f"{purged.entries} entries, {purged.bytes} bytes"
        self.stdout.write(f"Purged {told}." if options["yes"] else f"{told} would go. Say --yes to purge them.")


def _target(options: dict[str, Any]) -> Target:
    if options["model"] is not None:
        return Target.model(options["model"])
    if options["namespace"] is not None:
        return Target.namespace(options["namespace"])
    return Target.tags(tuple(options["tag"])) if options["tag"] else Target.everything()


async def _purge(project: str, target: Target, *, dry_run: bool) -> Purged | None:
    runtime = Runtime(router_config())
    try:
        if runtime.cache is None:
            return None
        return await runtime.cache.invalidation.purge(project, target, dry_run=dry_run)
    finally:
        await runtime.aclose()
