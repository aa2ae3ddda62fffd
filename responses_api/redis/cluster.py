"""A Redis Cluster: which node has a key, and what to do while that changes.

Each node has its own pipelines (`Node`). A command that a node turns away, or that goes down with it, is sent again
where the cluster then says, for as long as a caller may be kept waiting: a failover takes the cluster's node timeout
and about a second. Only silence is not asked again: its caller has waited already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from responses_api.config.schema import RedisConfig
from responses_api.redis.addresses import split_address
from responses_api.redis.link import Asked, Command, Nobody, Settle, Waiter, give
from responses_api.redis.node import Node

log = structlog.get_logger(__name__)

KEPT_WAITING_SECONDS = 5.0
"""How long a command is tried again while nodes change."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5
REFRESH_SECONDS = 0.1
"""The least between two looks at who has which slots."""
LOOK_SECONDS = 2.0
"""How long a node may take to say who has which slots."""

Address = tuple[str, int]
_CHANGING = (ClusterDownError, MasterDownError, TryAgainError, ReadOnlyError)


class Cluster:
    """One per event loop; takes commands as a `Node` does."""

    def __init__(self, config: RedisConfig, settle: Settle = give) -> None:
        """`settle` takes every reply that is one."""
        self._config = config
        self._settle = settle
        self._seeds = [split_address(address) for address in config.cluster_addresses]
        self._loop = asyncio.get_running_loop()
        self._nodes: dict[Address, Node] = {}
        self._slots: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._homeless: list[Asked] = []
        """Commands whose slot is nobody's, as far as is known."""
        self._given_up_at: dict[Waiter, float] = {}
        """Commands that were turned away: until when they are tried again."""
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = 0.0
        self._retired: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def add(self, asked: Asked) -> None:
        """Goes with this turn's pipeline to the node that has its key."""
        node = self._slots[slot_of(asked[0])]
        if node is not None:
            node.add(asked)
        else:
            self._homeless.append(asked)
            self._refresh()

    def add_soon(self, asked: Asked) -> None:
        """Goes with that node's next pipeline."""
        node = self._slots[slot_of(asked[0])]
        if node is not None:
            node.add_soon(asked)
        else:
            self.add(asked)

    async def warm_up(self, connections: int) -> None:
        """Finds out who has which slots, and opens links to each. Raises `RedisError` or `OSError`."""
        await self._read_slots()
        for node in list(self._nodes.values()):
            await node.warm_up(connections)

    async def aclose(self) -> None:
        """Lets what is on its way arrive, then disconnects."""
        self._is_closed = True
        while self._given_up_at or self._homeless:  # noqa: ASYNC110 - at the end of a process
            await asyncio.sleep(0.001)
        if self._refreshing is not None:
            self._refreshing.cancel()
        await asyncio.gather(*(node.aclose() for node in self._nodes.values()), *self._retired)

    # -- replies -------------------------------------------------------------------------------------------------

    def settle(self, asked: Asked, reply: Any) -> None:
        """A node's reply, or what there is instead."""
        if isinstance(reply, BaseException) and not asked[1].done() and self._may_try_again(asked, reply):
            return
        if self._given_up_at:
            self._given_up_at.pop(asked[1], None)
        self._settle(asked, reply)

    def _may_try_again(self, asked: Asked, error: BaseException) -> bool:
        """Has it been sent, or will it be, somewhere else?"""
        if asked[0][0] == "ASKING":
            return False
        if isinstance(error, AskError):
            # The slot is being moved, and this key has gone already: only this command goes there.
            if self._loop.time() > self._give_up_at(asked):
                return False
            node = self._node_at((error.host, error.port))
            node.add((("ASKING",), Nobody(lambda _: None)))
            node.add(asked)
            return True
        if isinstance(error, RedisTimeoutError):
            self._refresh()
            return False
        if isinstance(error, MovedError):
            self._slots[error.slot_id] = self._node_at((error.host, error.port))
            self._refresh()
            return self._again(asked, 0.0)
        is_lost = isinstance(error, RedisConnectionError | OSError) and not isinstance(error, AuthenticationError)
        if is_lost or isinstance(error, _CHANGING):
            self._refresh()
            return self._again(asked, FIRST_PAUSE_SECONDS)
        return False

    def _again(self, asked: Asked, pause: float) -> bool:
        """Sends it after `pause`, longer the longer it has waited, unless it has waited for too long."""
        now, given_up_at = self._loop.time(), self._give_up_at(asked)
        waited = KEPT_WAITING_SECONDS - (given_up_at - now)
        pause = min(max(pause, waited / 4 if pause else 0.0), LONGEST_PAUSE_SECONDS)
        if self._is_closed or now + pause > given_up_at:
            return False
        self._loop.call_later(pause, self._resend, asked)
        return True

    def _give_up_at(self, asked: Asked) -> float:
        """Counted from when it was first turned away."""
        return self._given_up_at.setdefault(asked[1], self._loop.time() + KEPT_WAITING_SECONDS)

    def _resend(self, asked: Asked) -> None:
        if asked[1].done():  # its caller has gone
            self._given_up_at.pop(asked[1], None)
        else:
            self.add(asked)

    # -- who has which slots -------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Soon, unless that is under way."""
        if self._refreshing is None:
            self._refreshing = self._loop.create_task(self._refresh_soon())
            self._refreshing.add_done_callback(self._refreshed)

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not task.cancelled():
            task.exception()

    async def _refresh_soon(self) -> None:
        early = self._refreshed_at + REFRESH_SECONDS - self._loop.time()
        if early > 0:
            await asyncio.sleep(early)
        error: Exception = RedisConnectionError("the Cluster has slots that nobody serves")
        try:
            await self._read_slots()
        except (RedisError, OSError) as reason:
            error = reason
        homeless, self._homeless = self._homeless, []
        for asked in homeless:
            if self._slots[slot_of(asked[0])] is not None:
                self.add(asked)
            elif not self._again(asked, FIRST_PAUSE_SECONDS):
                self._given_up_at.pop(asked[1], None)
                self._settle(asked, error)

    async def _read_slots(self) -> None:
        """Raises what the last of the nodes raised, where none of them tells."""
        self._refreshed_at = self._loop.time()
        error: Exception = RedisConnectionError("no node is configured (cluster_addresses)")
        for address in dict.fromkeys((*self._nodes, *self._seeds)):
            try:
                reply = await self._ask(address, "CLUSTER", "SLOTS")
            except (RedisError, OSError, TimeoutError) as reason:
                error = reason if not isinstance(reason, TimeoutError) else RedisTimeoutError(f"{address} is silent")
                continue
            self._apply(slots_in(reply, address[0]))
            return
        raise error

    async def _ask(self, address: Address, *command: str) -> Any:
        """By a connection of its own: the node's own may be in trouble."""
        node = Node(self._config, *address, attempts=1)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                future: asyncio.Future[Any] = self._loop.create_future()
                node.add((command, future))
                return await future
        finally:
            node.abort()

    def _apply(self, ranges: Iterable[tuple[int, int, Address]]) -> None:
        slots: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        used: set[Address] = set()
        for first, last, address in ranges:
            slots[first : last + 1] = [self._node_at(address)] * (last + 1 - first)
            used.add(address)
        self._slots = slots
        gone = [address for address in self._nodes if address not in used]
        for address in gone:
            task = self._loop.create_task(self._nodes.pop(address).aclose())
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)
        if gone:
            log.warning("redis_cluster_changed", masters=[f"{host}:{port}" for host, port in used])

    def _node_at(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Node(self._config, *address, settle=self.settle, attempts=1)
        return node


def slot_of(command: Command) -> int:
    """Of the command's first key; 0 where it has none."""
    name = command[0]
    key = command[3] if name in ("EVALSHA", "EVAL") else command[1] if len(command) > 1 else ""
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


def slots_in(reply: Any, asked_host: str) -> list[tuple[int, int, Address]]:
    """The reply to `CLUSTER SLOTS` → first and last slot, and the master that has them.

    A node that does not know its own address leaves it empty: it is where it was asked.
    """
    return [(first, last, ((master[0] or b"").decode() or asked_host, master[1])) for first, last, master, *_ in reply]
