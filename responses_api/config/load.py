"""YAML → `RouterConfig`: `config_path`, `${VAR}`, the environment's overrides, defaults, checks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from responses_api.config.check import problems_of
from responses_api.config.convert import Converter
from responses_api.config.errors import ConfigError, Problem
from responses_api.config.expand import expand, unset_variables
from responses_api.config.redis_url import warnings_of, with_url
from responses_api.config.schema import (
    REDIS_TTL_SECONDS,
    BackendConfig,
    ResponseApiConfig,
    RouterConfig,
    Timeouts,
)
from responses_api.config.yaml_file import read_mapping

DEMO_BACKEND = "demo"
_CONFIG_PATH = "response_api.redis.config_path"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what its author should know."""

    config: RouterConfig
    warnings: tuple[str, ...]


def load_config(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """The configuration in the file at `path` (None: the defaults), completed from `environ`.

    Raises `ConfigError` with every problem found.
    """
    tree = read_mapping(path, "ROUTER_CONFIG") if path is not None else {}
    converter = Converter(environ)
    _merge_redis_file(tree, path, environ, converter.problems)
    config = converter.dataclass(RouterConfig, tree, "")
    config = replace(config, response_api=_complete(config.response_api, tree, environ, converter))
    demo_url = environ.get("ROUTER_DEMO_URL", "")
    if demo_url and not config.vllm_endpoints and not config.backends:
        config = replace(config, backends=(BackendConfig(DEMO_BACKEND, demo_url),))
    problems = [*converter.problems, *_unreported(problems_of(config), converter.problems)]
    if problems:
        raise ConfigError(problems)
    # After the checks: a wrong global timeout is told once, not once a backend.
    return Loaded(_inherit_timeouts(config, tree), tuple(converter.warnings))


def _merge_redis_file(
    tree: dict[str, Any], path: Path | None, environ: Mapping[str, str], problems: list[Problem]
) -> None:
    """Lets the keys of the file named by `config_path` override the inline block."""
    redis = _at(tree, "response_api", "redis")
    named = _at(tree, "response_api", "redis", "config_path")
    if not named or not isinstance(named, str) or any(unset_variables(named, environ)):
        return
    named = expand(named, environ)
    # As documented, relative to where the router runs; failing that, beside the file that names it.
    places = [Path(named), *([path.parent / named] if path is not None else [])]
    found = next((place for place in places if os.access(place, os.F_OK)), None)
    if found is None:
        problems.append(Problem(_CONFIG_PATH, named, "there is no such file", "Correct the path"))
        return
    try:
        other = read_mapping(found, _CONFIG_PATH)
    except ConfigError as error:
        problems += error.problems
        return
    if "config_path" in other:
        problems.append(Problem(_CONFIG_PATH, named, "names a config_path itself", "Remove it there"))
    # A new mapping, since an alias (`*name`) may share the old one with another key.
    tree["response_api"] = tree["response_api"] | {"redis": redis | other | {"config_path": named}}


def _complete(
    api: ResponseApiConfig, tree: dict[str, Any], environ: Mapping[str, str], converter: Converter
) -> ResponseApiConfig:
    """`api` with the TTL of its store, and the server that `REDIS_URL` names; in a Cluster that is the broker's."""
    if _at(tree, "response_api", "ttl_seconds") is None and api.store_backend != "memory":
        api = replace(api, ttl_seconds=REDIS_TTL_SECONDS)
    url = environ.get("REDIS_URL", "")
    if not url or api.redis.cluster_mode:
        return api
    try:
        api = replace(api, redis=with_url(api.redis, url))
        converter.warnings += warnings_of(url)
    except ConfigError as error:
        converter.problems += error.problems
    return api


def _unreported(problems: Iterator[Problem], reported: Sequence[Problem]) -> Iterator[Problem]:
    """Without those about a key whose value could not be read: a stand-in is there, and nobody wrote it."""
    keys = {problem.key for problem in reported}
    beneath = tuple(f"{key}{separator}" for key in keys for separator in ".[")
    return (problem for problem in problems if problem.key not in keys and not problem.key.startswith(beneath))


def _inherit_timeouts(config: RouterConfig, tree: dict[str, Any]) -> RouterConfig:
    """A backend's missing timeouts are the global ones."""
    entries = tree.get("backends") or [{}] * len(config.backends)
    backends = [
        replace(backend, timeouts=_over(config.timeouts, backend.timeouts, entry.get("timeouts") or {}))
        for backend, entry in zip(config.backends, entries, strict=True)
    ]
    return replace(config, backends=tuple(backends))


def _over(common: Timeouts, own: Timeouts, given: Mapping[str, Any]) -> Timeouts:
    names = [name for name in Timeouts.__dataclass_fields__ if given.get(name) is not None]
    return replace(common, **{name: getattr(own, name) for name in names})


def _at(tree: Any, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree
