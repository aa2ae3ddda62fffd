"""The configuration of this process: the file that Django's settings name, completed by the environment."""

from __future__ import annotations

import os
from functools import cache

from django.conf import settings

from responses_api.config.load import Loaded, load_config
from responses_api.config.schema import RouterConfig


@cache
def loaded() -> Loaded:
    """Read once. Raises `ConfigError`."""
    return load_config(settings.ROUTER_CONFIG, os.environ)


def router_config() -> RouterConfig:
    return loaded().config
