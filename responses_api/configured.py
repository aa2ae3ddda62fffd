"""The configuration of this process: the file that Django's settings name, completed by the environment."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache

from django.conf import settings

from responses_api.config.load import Loaded, load_config
from responses_api.config.schema import RouterConfig


@cache
def loaded() -> Loaded:
    """Read once, completed by what the site knows. Raises `ConfigError`."""
    found = load_config(settings.ROUTER_CONFIG, os.environ)
    if found.config.sealing_secrets:
        return found
    return replace(found, config=replace(found.config, sealing_secrets=(settings.SECRET_KEY,)))


def router_config() -> RouterConfig:
    return loaded().config
