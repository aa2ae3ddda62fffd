"""What the commands that move state have in common: which Redis is meant, and how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from django.core.management.base import CommandError
from redis.exceptions import RedisError

from responses_api.config.check import problems_of
from responses_api.config.convert import Converter
from responses_api.config.errors import ConfigError
from responses_api.config.redis_url import with_url
from responses_api.config.schema import RedisConfig, ResponseApiConfig, RouterConfig
from responses_api.config.yaml_file import read_mapping
from responses_api.configured import router_config
from responses_api.redis.sync import sync_client
from responses_api.stores.transfer import RedisShelf, TransferError, Transferred
from responses_api.vault import vault_of

CONFIGURED = "configured"
WHERE = "'configured', a redis:// URL, or a YAML file with the keys of response_api.redis (a Cluster, TLS)"


@contextmanager
def shelf(where: str, key_prefix: str | None = None) -> Iterator[RedisShelf]:
    """The Redis that `where` names. Raises `CommandError`."""
    config = _config(where)
    client = sync_client(config)
    try:
        with failures_told():
            client.ping()
        yield RedisShelf(client, key_prefix or config.key_prefix, vault_of(router_config().encryption_keys))
    finally:
        client.close()


@contextmanager
def opened(name: str, mode: Literal["rb", "wb"]) -> Iterator[BinaryIO]:
    """The file of this name; `-` is standard input or output. Raises `CommandError`."""
    if name == "-":
        yield sys.stdin.buffer if mode == "rb" else sys.stdout.buffer
        return
    try:
        with Path(name).open(mode) as file:
            yield file
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.") from None


@contextmanager
def failures_told() -> Iterator[None]:
    """What goes wrong, in an operator's words. Everything can be begun again."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise CommandError(f"Redis: {error}. Run it again to go on.") from None
    except TransferError as error:
        raise CommandError(str(error)) from None


def summed(steps: Iterable[Transferred], tell: Any) -> Transferred:
    """All steps together, told now and then."""
    total, told_at = Transferred(), 0
    for step in steps:
        for name in ("copied", "same", "different", "expired"):
            setattr(total, name, getattr(total, name) + getattr(step, name))
        if total.total - told_at >= 10_000:
            told_at = total.total
            tell(f"{total.total:,} …")
    return total


def finish(total: Transferred, tell: Any) -> None:
    """Raises `CommandError` where not all is as in the source."""
    tell(
        f"{total.copied:,} copied and read back, {total.same:,} were there, {total.expired:,} had expired, "
        f"{total.different:,} were there with other content."
    )
    if total.different:
        raise CommandError("What was there with other content was left as it is.")


def _config(where: str) -> RedisConfig:
    try:
        if where == CONFIGURED:
            return router_config().response_api.redis
        if "://" in where:
            return with_url(RedisConfig(), where)
        converter = Converter(os.environ)
        redis = converter.dataclass(RedisConfig, read_mapping(Path(where), where), "")
        config = RouterConfig(response_api=replace(ResponseApiConfig(store_backend="redis"), redis=redis))
        problems = [*converter.problems, *problems_of(config)]
        if problems:
            raise ConfigError(problems)
    except ConfigError as error:
        raise CommandError(str(error)) from None
    return redis
