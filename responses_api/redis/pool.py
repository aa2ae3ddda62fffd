"""Redis as the data path uses it: one pipeline per event-loop turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from responses_api.config.schema import RedisConfig
from responses_api.redis.addresses import DEFAULT_ADDRESS, split_address
from responses_api.redis.cluster import Cluster
from responses_api.redis.link import Argument, Asked, Nobody, Waiter, give
from responses_api.redis.node import Node
from responses_api.redis.scripts import KNOWN, Script

# Everything that a lost or slow server raises, whichever layer notices.
CONNECTION_ERRORS = (RedisError, OSError, asyncio.TimeoutError)


class RedisPool:
    """Commands issued in one turn of the event loop travel as one pipeline (per node in a Cluster)."""

    def __init__(self, config: RedisConfig) -> None:
        """Call it on the event loop that uses the pool."""
        self.config = config
        self.key_prefix = config.key_prefix
        self._loop = asyncio.get_running_loop()
        self._server: Node | Cluster
        if config.cluster_mode:
            self._server = Cluster(config, self._settle)
        else:
            address = split_address(config.address or DEFAULT_ADDRESS)
            self._server = Node(config, *address, self._settle, attempts=1 + config.max_retries)

    def execute(self, *command: Argument) -> asyncio.Future[Any]:
        """Queues `command` for this turn's pipeline. The future gives its reply or raises what Redis raised.

        Replies are Redis' own (bytes, integers, None, lists): `OK` is true, in whatever form.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self._server.add((command, future))
        return future

    def tell(self, on_failure: Callable[[BaseException], None], *command: Argument) -> None:
        """Queues `command`, whose reply nobody waits for; it may go a little later, where that saves a pipeline."""
        self._server.add_soon((command, Nobody(on_failure)))

    def run(self, script: Script, keys: Sequence[str], *arguments: Argument) -> asyncio.Future[Any]:
        """Queues `script` on `keys`, which share a slot. The future raises what Redis raises.

        By its digest: a server that has forgotten it is sent the text.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self.run_for(future, script, keys, *arguments)
        return future

    def run_for(self, waiter: Waiter, script: Script, keys: Sequence[str], *arguments: Argument) -> None:
        """The same for a waiter of one's own, which costs less than a future and its callback."""
        self._server.add((("EVALSHA", script.digest, len(keys), *keys, *arguments), waiter))

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, in order, in one round trip (per node in a Cluster)."""
        if not keys:
            return []
        if len(keys) == 1:
            return [await self.execute("GET", keys[0])]
        if self.config.cluster_mode:
            return list(await asyncio.gather(*(self.execute("GET", key) for key in keys)))
        values: list[bytes | None] = await self.execute("MGET", *keys)
        return values

    async def count_existing(self, keys: Sequence[str]) -> int:
        """How many of `keys` there are, in one round trip (per node in a Cluster)."""
        if not keys:
            return 0
        if self.config.cluster_mode:
            return sum(await asyncio.gather(*(self.execute("EXISTS", key) for key in keys)))
        count: int = await self.execute("EXISTS", *keys)
        return count

    async def ping(self) -> None:
        """Raises one of `CONNECTION_ERRORS` when Redis does not answer."""
        await self.execute("GET", f"{self.key_prefix}ping")

    async def warm_up(self) -> None:
        """Opens `min_idle_conns` connections, so that the first requests need not."""
        await self._server.warm_up(self.config.min_idle_conns)

    async def aclose(self) -> None:
        """Lets what is on its way arrive, then disconnects."""
        await self._server.aclose()

    def _settle(self, asked: Asked, reply: Any) -> None:
        if isinstance(reply, NoScriptError):
            (_, digest, *rest), waiter = asked
            self._server.add((("EVAL", KNOWN[str(digest)].text, *rest), waiter))
        else:
            give(asked, reply)
