"""Redis as an operator needs to see it: nodes, roles, slots, memory, what kinds of keys there are, the slow log.

Keys are sampled by a bounded SCAN, never listed with KEYS; what the ACL user may not ask is left out, and said so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import NoPermissionError, RedisError

from cache_admin import sources
from cache_admin.entries import prefix as cache_prefix

SAMPLED_KEYS = 2000
SCAN_COUNT = 500
WEIGHED_KEYS = 200
SLOW_COMMANDS = 15


@dataclass(slots=True)
class SlowCommand:
    """`at` Unix seconds."""

    at: float
    ms: float
    command: str
    node: str


@dataclass(slots=True)
class Kind:
    """Keys of one kind among those sampled; `bytes` of those weighed, `ttl_sum` seconds."""

    name: str
    keys: int = 0
    expiring: int = 0
    ttl_sum: float = 0
    weighed: int = 0
    bytes: int = 0

    @property
    def average_bytes(self) -> float | None:
        return self.bytes / self.weighed if self.weighed else None

    @property
    def average_ttl(self) -> float | None:
        return self.ttl_sum / self.expiring if self.expiring else None


@dataclass(slots=True)
class NodeFacts:
    """`problem`: why there is nothing to tell of it."""

    address: str
    role: str = ""
    slots: str = ""
    version: str = ""
    uptime_seconds: int = 0
    memory: int = 0
    max_memory: int = 0
    peak_memory: int = 0
    policy: str = ""
    clients: int = 0
    commands_per_second: int = 0
    keys: int = 0
    expired: int = 0
    evicted: int = 0
    replicas: int = 0
    persistence: str = ""
    problem: str = ""


@dataclass(slots=True)
class Facts:
    """`refused`: what the ACL user may not ask."""

    mode: str
    nodes: list[NodeFacts] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    sampled: int = 0
    slow: list[SlowCommand] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    @property
    def keys(self) -> int:
        return sum(node.keys for node in self.nodes if node.role != "replica")

    def estimated(self, kind: Kind) -> int:
        return round(kind.keys / self.sampled * self.keys) if self.sampled else 0


def gather() -> Facts:
    """Raises what Redis raises, where no node answers at all."""
    client = sources.redis()
    if isinstance(client, redis.cluster.RedisCluster):
        # It learns of new nodes and roles only when a command meets them.
        client.nodes_manager.initialize()
        facts, slots = Facts("cluster"), _slot_ranges(client)
        nodes = sorted(_nodes(client), key=lambda node: (node.server_type != "primary", node.name))
        for node in nodes:
            told = NodeFacts(
                node.name, "master" if node.server_type == "primary" else "replica", slots.get(node.name, "")
            )
            _gather_node(facts, told, client.get_redis_connection(node))
    else:
        facts = Facts("standalone")
        settings = client.connection_pool.connection_kwargs
        told = NodeFacts(f"{settings.get('host')}:{settings.get('port')}", slots="all")
        client.ping()
        _gather_node(facts, told, client)
    facts.slow = sorted(facts.slow, key=lambda each: -each.at)[:SLOW_COMMANDS]
    facts.kinds.sort(key=lambda each: -each.keys)
    return facts


def _gather_node(facts: Facts, node: NodeFacts, client: Any) -> None:
    facts.nodes.append(node)
    for what, ask in (("INFO", _note_info), ("DBSIZE", _note_size), ("SCAN", _sample), ("SLOWLOG", _note_slow)):
        try:
            ask(facts, node, client)
        except NoPermissionError:
            facts.refused.add(what)
        except RedisError as error:
            node.problem = str(error) or type(error).__name__
            return


def _note_info(facts: Facts, node: NodeFacts, client: Any) -> None:
    info = client.info()
    role = info.get("role")
    node.role = node.role or ("replica" if role == "slave" else str(role))
    node.version = f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info.get('redis_version')}"
    node.uptime_seconds = int(info.get("uptime_in_seconds", 0))
    node.memory, node.peak_memory = int(info.get("used_memory", 0)), int(info.get("used_memory_peak", 0))
    node.max_memory, node.policy = int(info.get("maxmemory", 0)), str(info.get("maxmemory_policy", ""))
    node.clients = int(info.get("connected_clients", 0))
    node.commands_per_second = int(info.get("instantaneous_ops_per_sec", 0))
    node.expired, node.evicted = int(info.get("expired_keys", 0)), int(info.get("evicted_keys", 0))
    node.replicas = int(info.get("connected_slaves", 0))
    node.persistence = "AOF" if info.get("aof_enabled") else "RDB" if info.get("rdb_last_save_time") else "none"


def _note_size(facts: Facts, node: NodeFacts, client: Any) -> None:
    node.keys = int(client.dbsize())


def _note_slow(facts: Facts, node: NodeFacts, client: Any) -> None:
    for each in client.slowlog_get(SLOW_COMMANDS):
        command = each["command"]
        # Only what was done to what: the rest may be somebody's words.
        words = b" ".join(command.split()[:3]).decode(errors="replace")[:100]
        facts.slow.append(SlowCommand(each["start_time"], each["duration"] / 1000, words, node.address))


def _sample(facts: Facts, node: NodeFacts, client: Any) -> None:
    if node.role == "replica":
        return
    keys: list[bytes] = []
    cursor = 0
    while len(keys) < SAMPLED_KEYS:
        cursor, found = client.scan(cursor, count=SCAN_COUNT)
        keys += found
        if cursor == 0:
            break
    facts.sampled += len(keys)
    kinds = {each.name: each for each in facts.kinds}
    names = [_kind_of(key) for key in keys]
    for name in Counter(names):
        if name not in kinds:
            kinds[name] = Kind(name)
            facts.kinds.append(kinds[name])
    for name, milliseconds in zip(names, _ttls(client, keys), strict=True):
        kind = kinds[name]
        kind.keys += 1
        if milliseconds > 0:
            kind.expiring += 1
            kind.ttl_sum += milliseconds / 1000
    _weigh(client, keys[:WEIGHED_KEYS], [kinds[name] for name in names[:WEIGHED_KEYS]])


def _ttls(client: Any, keys: Iterable[bytes]) -> list[int]:
    """0 for keys that are none of this user's."""
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.pttl(key)
    return [each if isinstance(each, int) else 0 for each in pipeline.execute(raise_on_error=False)]


def _weigh(client: Any, keys: list[bytes], kinds: list[Kind]) -> None:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.memory_usage(key)
    for kind, size in zip(kinds, pipeline.execute(raise_on_error=False), strict=True):
        if isinstance(size, int):
            kind.weighed += 1
            kind.bytes += size


def _kind_of(key: bytes) -> str:
    name = key.decode(errors="replace").lstrip("{")
    if name.startswith(cache_prefix()):
        return "cache"
    ours = sources.prefix()
    if name.startswith(ours):
        return name.removeprefix(ours).partition(":")[0].partition("}")[0]
    return "broker" if name.startswith(("celery", "_kombu", "unacked")) else "not ours"


def _nodes(client: Any) -> list[Any]:
    return list(client.get_nodes())


def _slot_ranges(client: Any) -> dict[str, str]:
    """Node → the slots that it answers for, as `0-5460`."""
    owned: dict[str, list[int]] = {}
    for slot, nodes in sorted(client.nodes_manager.slots_cache.items()):
        owned.setdefault(nodes[0].name, []).append(slot)
    return {name: ", ".join(_ranges(slots)) for name, slots in owned.items()}


def _ranges(numbers: list[int]) -> list[str]:
    found, start = [], numbers[0]
    for before, number in zip(numbers, [*numbers[1:], None], strict=True):
        if number != before + 1:
            found.append(f"{start}-{before}" if start != before else str(start))
            start = number if number is not None else start
    return found
