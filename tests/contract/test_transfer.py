"""State that moves between a server, a Cluster and a file, with nothing lost and nothing changed."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from responses_api.config.schema import RedisConfig
from responses_api.redis.pool import RedisPool
from responses_api.redis.sync import sync_client
from responses_api.stores.redis import RedisStore
from responses_api.stores.redis_conversations import RedisConversations
from router_site.cluster_dev import DevCluster
from tests.valkey import Valkey

RESPONSES = 450
CONVERSATIONS = 30
PREFIX = "move*[1]:"
"""With what means something to SCAN."""


@pytest.fixture
def source(own_valkey: Valkey) -> RedisConfig:
    """A server with responses that expire, some that do not, and conversations."""
    config = RedisConfig(address=own_valkey.address, key_prefix=PREFIX)

    async def fill() -> None:
        pool = RedisPool(config)
        store, conversations = RedisStore(pool), RedisConversations(pool)
        for number in range(RESPONSES):
            value = json.dumps({"id": f"resp_{number}", "text": "ü\n" * number}).encode()
            await store.create(f"resp_{number}", value, 3600 if number % 3 else 0)
        for number in range(CONVERSATIONS):
            items = [(f"msg_{place}", b'{"id":"msg_%d"}' % place) for place in range(number, 0, -1)]
            await conversations.create(f"conv_{number}", b'{"id":"conv_%d"}' % number, items)
        await pool.aclose()

    asyncio.run(fill())
    return config


@pytest.fixture
def target(cluster: DevCluster, tmp_path: Path) -> tuple[Path, RedisConfig]:
    """An empty Cluster, and the file that names it."""
    file = tmp_path / "cluster.yaml"
    file.write_text(f"cluster_mode: true\ncluster_addresses: {json.dumps(cluster.addresses)}\n")
    config = RedisConfig(cluster_mode=True, cluster_addresses=tuple(cluster.addresses), key_prefix=PREFIX)
    with sync_client(config) as client:
        client.flushall(target_nodes="primaries")
    return file, config


def run(command: str, *arguments: object) -> str:
    out = io.StringIO()
    call_command(command, *map(str, arguments), stdout=out, stderr=io.StringIO())
    return out.getvalue()


def contents(config: RedisConfig) -> dict[bytes, tuple[Any, bool]]:
    """Key → its content and whether it expires."""
    found: dict[bytes, tuple[Any, bool]] = {}
    with sync_client(config) as client:
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            read: dict[bytes, Callable[[], Any]] = {
                b"string": lambda key=key: client.get(key),
                b"hash": lambda key=key: client.hgetall(key),
                b"zset": lambda key=key: client.zrange(key, 0, -1),
            }
            found[key] = read[kind](), 3500 < client.ttl(key) <= 3600
    return found


def test_from_one_server_into_a_cluster(source: RedisConfig, target: tuple[Path, RedisConfig]) -> None:
    file, config = target
    moved = run("migrate_store", "--from", f"redis://{source.address}", "--to", file, "--key-prefix", PREFIX)
    assert moved.startswith(f"{RESPONSES + CONVERSATIONS} copied and read back, 0 were there, 0 had expired, 0 were")
    assert contents(config) == contents(source)
    again = run("migrate_store", "--from", f"redis://{source.address}", "--to", file, "--key-prefix", PREFIX)
    assert again.startswith(f"0 copied and read back, {RESPONSES + CONVERSATIONS} were there")


def test_what_was_broken_off_goes_on(source: RedisConfig, target: tuple[Path, RedisConfig]) -> None:
    file, config = target
    arguments = ("--from", f"redis://{source.address}", "--to", file, "--key-prefix", PREFIX)
    run("migrate_store", *arguments)
    with sync_client(config) as client:
        for number in range(0, RESPONSES, 2):
            client.delete(f"{PREFIX}response:resp_{number}")
        client.delete(f"{PREFIX}conversation:conv_7")
    assert run("migrate_store", *arguments).startswith(f"{RESPONSES // 2 + 1} copied")
    assert contents(config) == contents(source)


def test_what_differs_is_left_alone_and_said(source: RedisConfig, target: tuple[Path, RedisConfig]) -> None:
    file, config = target
    with sync_client(config) as client:
        client.set(f"{PREFIX}response:resp_5", b'{"id":"newer"}')
        with pytest.raises(CommandError, match="left as it is"):
            run("migrate_store", "--from", f"redis://{source.address}", "--to", file, "--key-prefix", PREFIX)
        assert client.get(f"{PREFIX}response:resp_5") == b'{"id":"newer"}'


def test_into_a_file_and_back(source: RedisConfig, own_valkey: Valkey, tmp_path: Path) -> None:
    with redis.Redis(port=own_valkey.port) as client:
        for key in list(client.scan_iter()):
            client.rename(key, key.replace(PREFIX.encode(), b"sr:"))
        before = contents(source)
        file, url = tmp_path / "state.jsonl", f"redis://{source.address}"
        run("export_store", file, "--from", url)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(lines) == RESPONSES + CONVERSATIONS
        assert {line["kind"] for line in lines} == {"response", "conversation"}
        client.flushall()
        assert run("import_store", file, "--to", url).startswith(f"{RESPONSES + CONVERSATIONS} copied")
        assert contents(source) == before


def test_a_line_that_is_no_record_is_named(own_valkey: Valkey, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"kind":"response","id":"resp_1","value":{}}\n{"kind":"chat"}\n')
    with pytest.raises(CommandError, match="Line 2 is no exported"):
        run("import_store", file, "--to", f"redis://{own_valkey.address}")


def test_what_has_expired_stays_so(own_valkey: Valkey, tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    file.write_text('{"kind":"response","id":"resp_1","value":{},"expires_at":1000}\n')
    told = run("import_store", file, "--to", f"redis://{own_valkey.address}")
    assert told.startswith("0 copied and read back, 0 were there, 1 had expired")


@pytest.mark.parametrize("where", ["redis://127.0.0.1:1", "http://x", "/no/such.yaml"])
def test_a_redis_that_is_not_there_is_said(where: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        run("export_store", tmp_path / "x", "--from", where)
