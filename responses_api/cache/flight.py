"""One question on its way to the backend, as its own process sees it: what is told, who follows, how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from responses_api.cache.controls import Controls
from responses_api.cache.entry import Entry
from responses_api.cache.key import Question

MAX_MARKS = 2000


class Flight:
    """`pieces` are frames of a stream as they were told, `sent` how many of them other processes have been told."""

    __slots__ = (
        "_bytes",
        "_waiting",
        "began_at",
        "controls",
        "entry",
        "epochs",
        "followed_elsewhere",
        "followers",
        "generation",
        "is_over",
        "is_recorded",
        "marks",
        "pieces",
        "question",
        "sent",
        "token",
        "unsent_since",
    )

    def __init__(
        self, question: Question, token: str, controls: Controls, epochs: Mapping[str, int], generation: int
    ) -> None:
        self.question = question
        self.token = token
        self.controls = controls
        self.epochs = epochs
        self.generation = generation
        self.is_recorded = True
        self.followers = 0
        self.followed_elsewhere = False
        self.pieces: list[bytes] = []
        self.marks: list[tuple[int, int]] = []
        self.entry: Entry | None = None
        self.is_over = False
        self.sent = 0
        self.unsent_since: asyncio.TimerHandle | None = None
        self.began_at = time.monotonic()
        self._bytes = 0
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def is_followed(self) -> bool:
        return self.followers > 0 or self.followed_elsewhere

    def tell(self, piece: bytes) -> None:
        """The next frames."""
        self.pieces.append(piece)
        self._bytes += len(piece)
        if len(self.marks) < MAX_MARKS:
            self.marks.append((int((time.monotonic() - self.began_at) * 1000), self._bytes))
        if self._waiting:
            self._wake()

    def end(self, entry: Entry | None) -> None:
        """With the answer, or None: there is none for others. The first end holds."""
        if not self.is_over:
            self.entry, self.is_over = entry, True
            self._wake()

    async def news(self) -> None:
        """Returns when something was told, or it is over."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)
