"""Lua that changes several keys of one slot at once, and how a store runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from responses_api.redis_pool import Argument, RedisPool


async def run_script(pool: RedisPool, script: str, keys: Sequence[str], *arguments: Argument) -> Any:
    """Runs `script` on `keys`, which share a slot; the server compiles it once. Raises what Redis raises."""
    return await pool.execute("EVAL", script, len(keys), *keys, *arguments)
