"""Signals as something to wait for: a request to stop, or a child that ended."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """From its making on, signals interrupt nothing; they are noted here and wake whoever waits."""

    def __init__(self) -> None:
        self.is_stop_requested = False
        self.is_stop_urgent = False
        """A second Ctrl-C. Other signals may come twice for one reason: a closing terminal sends two."""
        self._wake, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in _STOPPING:
            is_nohup = number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
            if not is_nohup:
                signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, self._on_child)

    def wait(self, timeout_seconds: float) -> None:
        """Returns at the next signal, at the latest after `timeout_seconds`."""
        if select.select([self._wake], [], [], max(0.0, timeout_seconds))[0]:
            os.read(self._wake, 4096)

    def _on_stop(self, number: int, _: FrameType | None) -> None:
        self.is_stop_urgent = self.is_stop_requested and number == signal.SIGINT
        self.is_stop_requested = True

    def _on_child(self, _: int, __: FrameType | None) -> None:
        """Being handled at all is what wakes `wait`."""
