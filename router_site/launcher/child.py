"""One process of the site: started so that it cannot outlive the launcher, its output in a log file."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Part:
    """What to start. `address` is for the operator's eyes; `descriptors` are inherited."""

    name: str
    command: tuple[str, ...]
    address: str
    stage: int
    """Parts stop stage by stage, lowest first."""
    stop_seconds: float
    """How long it may take to end once told to; then it is killed."""
    descriptors: tuple[int, ...] = ()


class Child:
    """A started part. With `is_captured` its standard output is kept for `output()` instead of going to the log."""

    def __init__(
        self, part: Part, log: Path, environ: Mapping[str, str], directory: Path, *, is_captured: bool = False
    ) -> None:
        self.part = part
        self.log = log
        launcher = os.getpid()
        with log.open("ab") as file:
            self._log_start = file.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                part.command,
                cwd=directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if is_captured else file,
                stderr=file,
                pass_fds=part.descriptors,
                # Ctrl-C reaches the launcher alone, which stops the parts in order.
                start_new_session=True,
                preexec_fn=lambda: _die_with(launcher),
            )
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """As `subprocess` has it: negative for a signal, None while alive."""
        return self._process.poll()

    def death(self) -> str:
        """How it ended: `exited with status 1`, `was killed by SIGKILL`."""
        status = self._process.returncode
        if status is not None and status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"exited with status {status}"

    def last_lines(self, count: int = 10) -> list[str]:
        """Of what it wrote to its log since it was started."""
        with self.log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_start, end - 16_384))
            return file.read().decode(errors="replace").splitlines()[-count:]

    def output(self) -> str:
        """What it printed, once it has ended; no more than fits into a pipe."""
        if self._process.stdout is None:
            return ""
        with self._process.stdout as pipe:
            return pipe.read().decode()

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _die_with(launcher: int) -> None:
    """In the child, before it becomes the part: ask Linux to kill it when the launcher ends, however it ends.

    Elsewhere a launcher killed by -9 leaves its parts running.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:  # it ended before we asked
        os._exit(1)
