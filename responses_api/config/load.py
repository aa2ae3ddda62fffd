"""YAML → `RouterConfig`: `${VAR}`, `config_path`, the environment's overrides, defaults, checks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from responses_api.config.check import problems_of
from responses_api.config.convert import Converter
from responses_api.config.errors import ConfigError, Problem
from responses_api.config.expand import expand
from responses_api.config.schema import REDIS_TTL_SECONDS, BackendConfig, RedisConfig, RouterConfig

DEMO_BACKEND = "demo"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what its author should know."""

    config: RouterConfig
    warnings: tuple[str, ...]


def load_config(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """The configuration in the file at `path` (None: the defaults), completed from `environ`.

    Raises `ConfigError` with every problem found.
    """
    tree = _read(path, "ROUTER_CONFIG") if path is not None else {}
    converter = Converter()
    tree = expand(tree, environ, converter.problems)
    redis = _merge_redis_file(tree, path, environ, converter.problems)
    _inherit_timeouts(tree)
    config = converter.dataclass(RouterConfig, tree, "")
    api = config.response_api
    if _is_absent(tree, "response_api", "ttl_seconds") and api.store_backend != "memory":
        api = replace(api, ttl_seconds=REDIS_TTL_SECONDS)
    url = environ.get("REDIS_URL", "")
    if url and not redis.get("cluster_mode"):
        api = replace(api, redis=_from_url(url, api.redis, converter.problems))
    config = replace(config, response_api=api)
    demo_url = environ.get("ROUTER_DEMO_URL", "")
    if demo_url and not config.vllm_endpoints and not config.backends:
        config = replace(config, backends=(BackendConfig(DEMO_BACKEND, demo_url),))
    problems = [*converter.problems, *problems_of(config)]
    if problems:
        raise ConfigError(problems)
    return Loaded(config, tuple(converter.warnings))


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice: the second would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} is given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read(path: Path, key: str) -> dict[str, Any]:
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError([Problem(key, str(path), f"cannot be read: {reason}", "Correct the path")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or "cannot be parsed"
        raise ConfigError([Problem(key, place, f"not valid YAML: {reason}", "Mend that line")]) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError([Problem(key, str(path), "is not a mapping", "Write keys with values")])
    return tree


def _merge_redis_file(
    tree: dict[str, Any], path: Path | None, environ: Mapping[str, str], problems: list[Problem]
) -> dict[str, Any]:
    """Lets the keys of the file named by `config_path` override the inline block; the block as merged."""
    api = tree.get("response_api")
    redis = api.get("redis") if isinstance(api, dict) else None
    if not isinstance(redis, dict):
        return {}
    named = redis.get("config_path")
    if not named or not isinstance(named, str):
        return redis
    key = "response_api.redis.config_path"
    # As documented, relative to where the router runs; failing that, beside the file that names it.
    places = [Path(named), *([path.parent / named] if path is not None else [])]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        problems.append(Problem(key, named, "there is no such file", "Correct the path"))
        return redis
    other = expand(_read(found, key), environ, problems, f"{named}: ")
    if "config_path" in other:
        problems.append(Problem(key, named, "names a config_path itself", "Remove it there"))
    redis |= {name: value for name, value in other.items() if name != "config_path"}
    return redis


def _inherit_timeouts(tree: dict[str, Any]) -> None:
    """A backend's missing timeouts are the global ones."""
    common, backends = tree.get("timeouts"), tree.get("backends")
    if isinstance(common, dict) and isinstance(backends, list):
        for backend in backends:
            own = backend.get("timeouts") if isinstance(backend, dict) else None
            if isinstance(backend, dict) and isinstance(own, dict | None):
                backend["timeouts"] = common | (own or {})


def _is_absent(tree: dict[str, Any], *keys: str) -> bool:
    node: Any = tree
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node is None


def _from_url(url: str, redis: RedisConfig, problems: list[Problem]) -> RedisConfig:
    """`redis://user:password@host:6379/0`, or `rediss://` for TLS, over what the block says."""
    try:
        parts = urlsplit(url)
        port, db = parts.port or 6379, int(parts.path.strip("/") or 0)
        is_good = parts.scheme in ("redis", "rediss") and bool(parts.hostname)
    except ValueError:
        is_good = False
    if not is_good:
        shown = url.partition("://")[0] + "://…"
        problems.append(
            Problem("REDIS_URL", shown, "is no Redis URL", "Write redis://user:password@host:6379/0, or rediss://")
        )
        return redis
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return replace(
        redis,
        address=f"{host}:{port}",
        db=db,
        username=unquote(parts.username or "") or redis.username,
        password=unquote(parts.password or "") or redis.password,
        tls_enabled=redis.tls_enabled or parts.scheme == "rediss",
    )
