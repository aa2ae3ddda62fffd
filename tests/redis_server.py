"""Debian's redis-server: Redis 7, and built with TLS, which the embedded Valkey is not."""

from __future__ import annotations

import os
import shutil

import pytest


def redis_server_binary() -> str:
    """Skips where there is none; CI installs it, and there that is a fault."""
    binary = shutil.which("redis-server")
    if binary is None:
        assert "REQUIRE_SERVERS" not in os.environ, "redis-server is not installed"
        pytest.skip("redis-server is not installed (apt install redis-server)")
    return binary
