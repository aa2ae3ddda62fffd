"""The effective configuration as text, secrets masked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import yaml

from responses_api.config.mask import mask
from responses_api.config.schema import RouterConfig


def to_yaml(config: RouterConfig) -> str:
    """Every key with the value in force, in the schema's order."""
    return yaml.safe_dump(_plain("", asdict(config)), sort_keys=False, allow_unicode=True)


def _plain(path: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(f"{path}.{key}" if path else str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{path}[{index}]", item) for index, item in enumerate(value)]
    return mask(path, value)
