"""Starts parts, watches them, starts again those that die, and stops all in order."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from router_site.launcher.child import Child, Part
from router_site.launcher.data_directory import DataDirectory
from router_site.launcher.log_mirror import LogMirror
from router_site.launcher.problems import StartError, complain, say
from router_site.launcher.restarts import MAX_DEATHS, restart_delay
from router_site.launcher.signals import Signals

_TURN_SECONDS = 1.0
_MIRROR_SECONDS = 0.2


class StopRequested(Exception):
    """Somebody asked the launcher to stop."""


class Supervisor:
    """Children run in `root` with `environ`, their logs in `var`.

    Until `is_restarting` is set, the first part that dies ends the start. Use as a context: leaving it stops all.
    """

    def __init__(
        self, var: DataDirectory, root: Path, environ: Mapping[str, str], signals: Signals, *, is_verbose: bool
    ) -> None:
        self.is_restarting = False
        self.children: list[Child] = []
        self.after_death: Callable[[Child], None] = lambda _: None
        self._var = var
        self._root = root
        self._environ = environ
        self._signals = signals
        self._mirror = LogMirror() if is_verbose else None
        self._deaths: Mapping[str, list[float]] = defaultdict(list)
        self._due: list[tuple[float, Part]] = []

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, part: Part) -> Child:
        child = self._spawn(part)
        self.children.append(child)
        return child

    def run(self, part: Part) -> str:
        """Runs `part` to its end; what it printed. Raises `StartError` with its last words when it fails."""
        child = self._spawn(part, is_captured=True)
        try:
            while child.is_alive:
                self.turn()
        finally:
            child.kill()
        if child.exit_status != 0:
            raise StartError(_obituary(child))
        return child.output()

    def turn(self, timeout_seconds: float = _TURN_SECONDS) -> None:
        """Waits for something to happen, at most `timeout_seconds`, and sees to it.

        Raises `StopRequested`, and `StartError` for a part that died and is not to be started again.
        """
        if self._due:
            timeout_seconds = min(timeout_seconds, self._due[0][0] - time.monotonic())
        if self._mirror:
            timeout_seconds = min(timeout_seconds, _MIRROR_SECONDS)
        self._signals.wait(timeout_seconds)
        if self._mirror:
            self._mirror.show_new()
        if self._signals.is_stop_requested:
            raise StopRequested
        for child in [child for child in self.children if not child.is_alive]:
            self._bury(child)
        self._start_due()

    def stop(self) -> None:
        """Stage by stage: told to end, waited for, killed; once that is urgent, killed."""
        for stage in sorted({child.part.stage for child in self.children}):
            self._stop_together([child for child in self.children if child.part.stage == stage])
        self.children = []
        if self._mirror:
            self._mirror.show_new()

    def _spawn(self, part: Part, *, is_captured: bool = False) -> Child:
        log = self._var.log(part.name)
        if self._mirror:
            self._mirror.add(part.name, log)
        return Child(part, log, self._environ, self._root, is_captured=is_captured)

    def _bury(self, child: Child) -> None:
        self.children.remove(child)
        self.after_death(child)
        if not self.is_restarting:
            raise StartError(_obituary(child))
        complain(_obituary(child))
        deaths = self._deaths[child.part.name]
        deaths.append(time.monotonic())
        delay = restart_delay(deaths, deaths[-1])
        if delay is None:
            raise StartError(f"{child.part.name} died {MAX_DEATHS + 1} times within a minute; stopping.")
        self._due = sorted([*self._due, (deaths[-1] + delay, child.part)], key=lambda due: due[0])

    def _start_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, part = self._due.pop(0)
            child = self.start(part)
            say(f"{part.name} started again, pid {child.pid}")

    def _stop_together(self, children: Sequence[Child]) -> None:
        for child in children:
            child.terminate()
        deadline = time.monotonic() + max(child.part.stop_seconds for child in children)
        while any(child.is_alive for child in children) and not self._signals.is_stop_urgent:
            if time.monotonic() >= deadline:
                break
            self._signals.wait(min(_TURN_SECONDS, deadline - time.monotonic()))
        for child in children:
            child.kill()


def _obituary(child: Child) -> str:
    lines = [f"  {line}" for line in child.last_lines()]
    return "\n".join([f"{child.part.name} (pid {child.pid}) {child.death()}; its log is {child.log}", *lines])
