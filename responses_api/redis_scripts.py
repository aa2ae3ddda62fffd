"""Lua that changes several keys of one slot at once, and how a store runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from responses_api.redis_link import Argument
from responses_api.redis_pool import RedisPool


def run_script(pool: RedisPool, script: str, keys: Sequence[str], *arguments: Argument) -> asyncio.Future[Any]:
    """Has `script` run on `keys`, which share a slot, in this turn's pipeline. The future raises what Redis raises."""
    return pool.execute("EVAL", script, len(keys), *keys, *arguments)
