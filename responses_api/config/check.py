"""Rules across keys: what is well typed and still cannot work. Pure, but for looking whether named files exist."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import urlsplit

from responses_api.config.errors import Problem
from responses_api.config.mask import MASK, mask_url
from responses_api.config.schema import (
    BackgroundConfig,
    RedisConfig,
    ResponseApiConfig,
    ResponseCacheConfig,
    RouterConfig,
    RoutingConfig,
    Timeouts,
)

_HOST = re.compile(r"[^\s:/@\[\]]+\Z")
_HOST_PORT = re.compile(r"(\[(?P<ipv6>[^\]]*:[^\]]*)\]|(?P<host>[^:]+))(:(?P<port>[0-9]{1,5}))?\Z")

MIN_SECRET_CHARS = 16


def problems_of(config: RouterConfig) -> Iterator[Problem]:
    """Everything that would fail later, said now."""
    yield from _check_response_api(config.response_api)
    yield from _check_redis(config.response_api.redis)
    yield from _check_tls(config.response_api.redis)
    yield from _check_endpoints(config)
    yield from _check_timeouts("timeouts", config.timeouts)
    for index, backend in enumerate(config.backends):
        yield from _check_timeouts(f"backends[{index}].timeouts", backend.timeouts)
    yield from _check_routing(config.routing)
    for name in ("max_body_bytes", "max_chain_responses"):
        yield from _at_least(name, getattr(config, name), 1)
    yield from _at_least("chain_cache_bytes", config.chain_cache_bytes, 0)
    yield from _at_least("index.max_backlog", config.index.max_backlog, 1)
    yield from _at_least("index.retention_seconds", config.index.retention_seconds, 1)
    yield from _check_background(config.background)
    for name in ("interactive", "upkeep"):
        yield from _at_least(f"workers.{name}", getattr(config.workers, name), 1)
    yield from _positive("websocket.max_seconds", config.websocket.max_seconds)
    yield from _at_least("websocket.max_waiting", config.websocket.max_waiting, 1)
    yield from _positive("webhooks.timeout", config.webhooks.timeout)
    yield from _at_least("webhooks.max_attempts", config.webhooks.max_attempts, 1)
    yield from _at_least("webhooks.retention_seconds", config.webhooks.retention_seconds, 1)
    yield from _check_cache(config.response_cache)
    for name in ("sealing_secrets", "encryption_keys"):
        for index, secret in enumerate(getattr(config, name)):
            if len(secret) < MIN_SECRET_CHARS:
                reason = f"is shorter than {MIN_SECRET_CHARS} characters"
                yield Problem(f"{name}[{index}]", None, reason, "Use a long random text")


def _check_routing(routing: RoutingConfig) -> Iterator[Problem]:
    for name in ("max_tries", "breaker_failures"):
        yield from _at_least(f"routing.{name}", getattr(routing, name), 1)
    for name in ("breaker_pause", "breaker_max_pause", "probe_timeout"):
        yield from _positive(f"routing.{name}", getattr(routing, name))
    for name in ("slow_first_byte", "probe_interval"):
        yield from _at_least(f"routing.{name}", getattr(routing, name), 0)
    if not 0 < routing.breaker_error_share <= 1:
        share = routing.breaker_error_share
        yield Problem("routing.breaker_error_share", share, "is no share", "Use a number above 0, up to 1")


def _check_background(background: BackgroundConfig) -> Iterator[Problem]:
    if not 2 <= background.lease_seconds <= 20:
        # Shorter, and a busy worker loses runs it still holds; longer, and a dead one's are found too late.
        yield Problem("background.lease_seconds", background.lease_seconds, "is not between 2 and 20", "Use 10")
    yield from _at_least("background.max_attempts", background.max_attempts, 1)
    yield from _at_least("background.event_log_seconds", background.event_log_seconds, 600)
    yield from _at_least("background.event_log_max_bytes", background.event_log_max_bytes, 65_536)
    for tier, priority in background.tier_priorities.items():
        if not 0 <= priority <= 9:
            yield Problem(f"background.tier_priorities.{tier}", priority, "is no priority", "Use 0 (first) to 9")


def _check_cache(cache: ResponseCacheConfig) -> Iterator[Problem]:
    key = "response_cache"
    for name in ("ttl_seconds", "max_ttl_seconds", "max_entry_bytes", "max_bytes_per_project"):
        yield from _at_least(f"{key}.{name}", getattr(cache, name), 1)
    for name in ("stale_seconds", "memory_bytes"):
        yield from _at_least(f"{key}.{name}", getattr(cache, name), 0)
    if cache.ttl_seconds > cache.max_ttl_seconds:
        reason = "is more than max_ttl_seconds"
        yield Problem(f"{key}.ttl_seconds", cache.ttl_seconds, reason, f"Use at most {cache.max_ttl_seconds}")


def _check_response_api(api: ResponseApiConfig) -> Iterator[Problem]:
    if api.store_backend == "milvus" and find_spec("pymilvus") is None:
        remedy = "Install it: pip install 'pymilvus>=2.5' (and milvus-lite for a file), or use redis"
        yield Problem("response_api.store_backend", "milvus", "needs a package that is not installed", remedy)
    yield from _positive("response_api.milvus.timeout", api.milvus.timeout)
    yield from _at_least("response_api.ttl_seconds", api.ttl_seconds, 0)
    yield from _at_least("response_api.max_responses", api.max_responses, 1)


def _check_redis(redis: RedisConfig) -> Iterator[Problem]:
    key = "response_api.redis"
    if redis.cluster_mode and redis.db != 0:
        yield Problem(f"{key}.db", redis.db, "a Redis Cluster has database 0 only", "Set db: 0")
    if redis.cluster_mode and not redis.cluster_addresses:
        yield Problem(f"{key}.cluster_addresses", [], "cluster_mode needs addresses", "List some nodes as host:port")
    if redis.address:
        yield from _check_address(f"{key}.address", redis.address)
    for index, address in enumerate(redis.cluster_addresses):
        yield from _check_address(f"{key}.cluster_addresses[{index}]", address)
    yield from _at_least(f"{key}.db", redis.db, 0)
    yield from _at_least(f"{key}.pool_size", redis.pool_size, 1)
    yield from _at_least(f"{key}.min_idle_conns", redis.min_idle_conns, 0)
    yield from _at_least(f"{key}.max_retries", redis.max_retries, 0)
    if redis.min_idle_conns > redis.pool_size:
        yield Problem(
            f"{key}.min_idle_conns", redis.min_idle_conns, "is more than pool_size", f"Use at most {redis.pool_size}"
        )
    for name in ("dial_timeout", "read_timeout", "write_timeout"):
        yield from _positive(f"{key}.{name}", getattr(redis, name))


def _check_address(key: str, address: str) -> Iterator[Problem]:
    if "://" in address:
        yield Problem(key, address.split("://")[0] + "://…", "is a URL", "Write host:port, or set REDIS_URL")
        return
    if "@" in address:
        shown = f"{MASK}@{address.rpartition('@')[2]}"
        yield Problem(key, shown, "has credentials in it", "Move them to username and password")
        return
    match = _HOST_PORT.match(address)
    if match is None or not _is_host(match["host"] or match["ipv6"]) or not 1 <= int(match["port"] or 6379) <= 65535:
        yield Problem(key, address, "is no address", "Write host:port, for example localhost:6379")


def _is_host(text: str) -> bool:
    """A host name or an IP address, IPv6 without its brackets."""
    if ":" not in text:
        return _HOST.match(text) is not None
    try:
        return bool(IPv6Address(text))
    except ValueError:
        return False


def _check_tls(redis: RedisConfig) -> Iterator[Problem]:
    key = "response_api.redis"
    if not redis.tls_enabled:
        return
    for name in ("tls_cert_path", "tls_key_path", "tls_ca_path"):
        if path := getattr(redis, name):
            yield from _readable(f"{key}.{name}", path)
    if bool(redis.tls_cert_path) != bool(redis.tls_key_path):
        missing = "tls_key_path" if redis.tls_cert_path else "tls_cert_path"
        yield Problem(
            f"{key}.{missing}", "", "a client certificate needs both halves", "Name certificate and key, or neither"
        )


def _check_endpoints(config: RouterConfig) -> Iterator[Problem]:
    yield from _check_names_and_weights(config)
    for index, vllm in enumerate(config.vllm_endpoints):
        key = f"vllm_endpoints[{index}]"
        if not _is_host(vllm.address):
            remedy = "Write a host name or an IP address; the port has a key of its own"
            yield Problem(f"{key}.address", mask_url(vllm.address), "is no host", remedy)
        if not 1 <= vllm.port <= 65535:
            yield Problem(f"{key}.port", vllm.port, "is no port", "Use 1 to 65535")
    for index, backend in enumerate(config.backends):
        yield from base_url_problems(f"backends[{index}].base_url", backend.base_url)
        for name, value in [("api_key", backend.api_key), *backend.headers.items()]:
            if not f"{name}{value}".isprintable():
                yield Problem(f"backends[{index}].{name}", None, "has a line break in it", "Remove it")


def _check_names_and_weights(config: RouterConfig) -> Iterator[Problem]:
    places = [(f"vllm_endpoints[{index}]", each.name, each.weight) for index, each in enumerate(config.vllm_endpoints)]
    places += [(f"backends[{index}]", each.name, each.weight) for index, each in enumerate(config.backends)]
    named: set[str] = set()
    for key, name, weight in places:
        if not name:
            yield Problem(f"{key}.name", "", "is empty", "Give it a name of its own")
        elif name in named:
            yield Problem(f"{key}.name", name, "is used twice", "Give each endpoint a name of its own")
        named.add(name)
        yield from _at_least(f"{key}.weight", weight, 0)
    if places and not any(weight for _, _, weight in places):
        yield Problem(f"{places[0][0]}.weight", 0, "no endpoint has any weight", "Give at least one a weight above 0")
    remedy = f"Use one of: {', '.join(sorted(named))}" if named else "Add it to vllm_endpoints or backends"
    for model, each in config.model_config.items():
        for index, name in enumerate(each.preferred_endpoints):
            if name not in named:
                key = f"model_config.{model}.preferred_endpoints[{index}]"
                yield Problem(key, name, "no endpoint has this name", remedy)


def base_url_problems(key: str, url: str) -> Iterator[Problem]:
    """What is wrong with the URL of a backend."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not url.isprintable() or " " in url:
        yield Problem(key, mask_url(url), "is no http URL", "Write for example https://api.openai.com/v1")


def _check_timeouts(key: str, timeouts: Timeouts) -> Iterator[Problem]:
    for name in ("connect_timeout", "first_byte_timeout", "idle_timeout"):
        yield from _positive(f"{key}.{name}", getattr(timeouts, name))


def _at_least(key: str, value: int, low: int) -> Iterator[Problem]:
    if value < low:
        yield Problem(key, value, f"is below {low}", f"Use {low} or more")


def _positive(key: str, value: float) -> Iterator[Problem]:
    if not 0 < value < math.inf:
        reason = "has no end" if value == math.inf else "is not above 0"
        yield Problem(key, value, reason, "Give the seconds to wait")


def _readable(key: str, path: str) -> Iterator[Problem]:
    try:
        Path(path).open("rb").close()
    except FileNotFoundError:
        yield Problem(key, path, "there is no such file", "Correct the path")
    except OSError as error:
        yield Problem(key, path, f"cannot be read: {error.strerror}", "Correct the path, or the file's permissions")
