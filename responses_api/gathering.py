"""What comes one by one and is handed over together, by a thread: for what costs as much for one as for a hundred."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """`take` is given what has been added, in order, `seconds` after the first of it; the rest at exit.

    Any thread may add; a process that is forked begins with nothing.
    """

    def __init__(self, take: Callable[[list[T]], None], seconds: float, thread_name: str) -> None:
        self._take = take
        self._seconds = seconds
        self._thread_name = thread_name
        self._added: deque[T] = deque()
        self._has_some = threading.Event()
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._after_fork)
        atexit.register(self.hand_over)

    def add(self, item: T) -> None:
        self._added.append(item)
        if not self._has_some.is_set():
            self._has_some.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._thread_name, daemon=True)
                self._thread.start()

    def hand_over(self) -> None:
        """Now, in this thread."""
        items = []
        try:
            while True:
                items.append(self._added.popleft())
        except IndexError:
            if items:
                self._take(items)

    def _run(self) -> None:
        while True:
            self._has_some.wait()
            time.sleep(self._seconds)
            self._has_some.clear()
            self.hand_over()

    def _after_fork(self) -> None:
        self._added, self._thread, self._has_some = deque(), None, threading.Event()
