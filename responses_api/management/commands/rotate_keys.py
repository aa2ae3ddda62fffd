"""`manage.py rotate_keys`"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from responses_api.cache.layout import prefix_of
from responses_api.config.schema import RouterConfig
from responses_api.configured import router_config
from responses_api.management.shelves import failures_told
from responses_api.redis.sync import sync_client
from responses_api.rotation import Rotated, rotate, rotate_secrets
from responses_api.vault import Vault, vault_of

REPORT_EVERY = 10_000


class Command(BaseCommand):
    help = "Encrypts what is in Redis, and the secrets in SQL, anew under the first of `encryption_keys`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--list", action="store_true", help="only tell the ids of the configured keys")

    def handle(self, *args: Any, **options: Any) -> None:
        config = router_config()
        vault = vault_of(config.encryption_keys)
        for place, key_id in enumerate(vault.key_ids):
            self.stdout.write(f"{key_id}  {'encrypts and decrypts' if place == 0 else 'decrypts'}")
        if options["list"]:
            return
        if not vault.is_on:
            raise CommandError("There is no key: set `encryption_keys` in the configuration.")
        done = self._rotate_redis(config, vault) if config.response_api.uses_redis else Rotated()
        rotate_secrets(vault, done)
        self.stdout.write(f"{done.rewritten:,} values rewritten, {done.current:,} were so already.")
        if done.unreadable:
            raise CommandError(
                f"{done.unreadable:,} values need a key that is not among encryption_keys. They are left as they are; "
                "add the key they were written with behind the first, and run this again."
            )

    def _rotate_redis(self, config: RouterConfig, vault: Vault) -> Rotated:
        client, done = sync_client(config.response_api.redis), Rotated()
        try:
            with failures_told():
                prefixes = (config.response_api.redis.key_prefix, prefix_of(config))
                for number, done in enumerate(rotate(client, *prefixes, vault), 1):
                    if number % REPORT_EVERY == 0:
                        self.stderr.write(f"{number:,} looked at, {done.rewritten:,} values rewritten")
        finally:
            client.close()
        return done
