"""One Redis server as a process uses it: commands of one turn of the event loop travel as one pipeline.

One command at a time costs several times as much as in company. While all connections are busy further commands gather
for the next pipeline, so that load makes pipelines longer, not more numerous.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from responses_api.config.schema import RedisConfig
from responses_api.redis.link import Asked, Link, Settle, give, is_refusal, open_link

log = structlog.get_logger(__name__)

SOON_SECONDS = 0.002
FIRST_RETRY_SECONDS = 0.05
COMPLAIN_SECONDS = 5.0
"""The least between two lines in the log about one server."""
LOOK_SECONDS = 0.25
"""How often the clock is looked at while replies are awaited."""


def exchange_seconds(config: RedisConfig) -> float:
    """One timeout for both directions; the longer one never cuts a healthy exchange."""
    return max(config.read_timeout, config.write_timeout)


class Node:
    """Up to `pool_size` links to one server.

    What a lost connection leaves unanswered is sent again, `attempts` times in all with growing pauses; a server that
    is silent for `read_timeout` is not asked again: its caller has waited long enough.
    """

    def __init__(self, config: RedisConfig, host: str, port: int, settle: Settle = give, attempts: int = 1) -> None:
        """Call it on the event loop that uses it. `settle` takes replies, and what there is instead."""
        self.host, self.port = host, port
        self._config = config
        self.settle = settle
        self._attempts = attempts
        self._seconds = exchange_seconds(config)
        # Kept: asking for the running loop is a system call before Python 3.12.
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Asked] = []
        self._idle: list[Link] = []
        self._links: set[Link] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._failures = 0
        """Attempts in a row that came to nothing."""
        self._scheduled = False
        self._soon: asyncio.TimerHandle | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._complains_at = 0.0

    def add(self, asked: Asked) -> None:
        """Goes with this turn's pipeline."""
        self._waiting.append(asked)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def add_soon(self, asked: Asked) -> None:
        """Goes with the next pipeline, or in `SOON_SECONDS` with one of its own."""
        self._waiting.append(asked)
        if not self._scheduled and self._soon is None:
            self._soon = self._loop.call_later(SOON_SECONDS, self._flush)

    async def warm_up(self, connections: int) -> None:
        """Opens links, so that the first requests need not. Raises `RedisError` or `OSError`."""
        for _ in range(connections - len(self._links)):
            self._came_up(await self._open())

    async def aclose(self) -> None:
        """Lets what is on its way arrive, then disconnects."""
        self._flush()
        await self._until(lambda: not self._waiting and not any(link.batch for link in self._links))
        self.abort()
        await self._until(lambda: not self._links)

    def abort(self) -> None:
        """Disconnects, whatever is on its way."""
        self._is_closed = True
        for task in self._opening:
            task.cancel()
        if self._clock is not None:
            self._clock.cancel()
        for link in list(self._links):
            link.close()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():  # noqa: ASYNC110 - at the end of a process; nothing else would need the event
            await asyncio.sleep(0.001)

    # -- sending -------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._scheduled = False
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if not self._waiting:
            return
        if self._idle:
            batch, self._waiting = self._waiting, []
            self._idle.pop().send(batch)
            if self._clock is None:
                self._clock = self._loop.call_later(LOOK_SECONDS, self._look)
        elif len(self._links) + len(self._opening) < self._config.pool_size and (not self._opening or self._links):
            self._open_another()

    def link_idle(self, link: Link) -> None:
        self._failures = 0
        self._is_free(link)

    def _is_free(self, link: Link) -> None:
        self._idle.append(link)
        if self._waiting and not self._scheduled:
            self._flush()

    def _look(self) -> None:
        """Is a reply overdue?"""
        latest = self._loop.time() - self._seconds
        busy = [link for link in self._links if link.batch]
        for link in busy:
            if link.sent_at <= latest:
                link.close(RedisTimeoutError(f"no reply within {self._seconds:g} s"))
        self._clock = self._loop.call_later(LOOK_SECONDS, self._look) if busy else None

    # -- links that come and go ----------------------------------------------------------------------------------

    def _open_another(self) -> None:
        task = self._loop.create_task(self._open_for_waiting())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_for_waiting(self) -> None:
        """Tries until there is a link, or nobody may be kept waiting longer."""
        while True:
            try:
                self._came_up(await self._open())
            except (RedisError, OSError) as error:
                if self._links:
                    return  # the others will do
                self._failures += 1
                if is_refusal(error) or isinstance(error, RedisTimeoutError) or self._is_spent():
                    self._fail(error)
                    return
                await asyncio.sleep(FIRST_RETRY_SECONDS * 2 ** (self._failures - 1))
            else:
                return

    async def _open(self) -> Link:
        return await open_link(self._config, self.host, self.port, self._loop)

    def _came_up(self, link: Link) -> None:
        if not link.is_up or self._is_closed:
            link.close()
            return
        link.belong_to(self)
        self._links.add(link)
        self._is_free(link)

    def link_lost(self, link: Link, left: Sequence[Asked], error: Exception) -> None:
        self._links.discard(link)
        if link in self._idle:
            self._idle.remove(link)
        if not left:
            return
        if isinstance(error, RedisTimeoutError):
            for asked in left:
                self.settle(asked, error)
            return
        # A server that dropped one connection has usually dropped them all.
        for other in list(self._idle):
            other.close()
        self._failures += 1
        if self._is_spent():
            self._fail(error, left)
            return
        self._waiting[:0] = left
        pause = FIRST_RETRY_SECONDS * 2 ** (self._failures - 1)
        self._loop.call_later(pause, self._flush)

    def _is_spent(self) -> bool:
        return self._failures >= self._attempts

    def _fail(self, error: BaseException, left: Sequence[Asked] = ()) -> None:
        """Whoever waits hears of it; the next is tried anew."""
        self._failures = 0
        now = self._loop.time()
        if now >= self._complains_at:
            self._complains_at = now + COMPLAIN_SECONDS
            reason = str(error) or type(error).__name__
            log.warning("redis_unreachable", address=f"{self.host}:{self.port}", reason=reason)
        failed, self._waiting = [*left, *self._waiting], []
        for asked in failed:
            self.settle(asked, error if isinstance(error, RedisError | OSError) else RedisConnectionError(str(error)))
