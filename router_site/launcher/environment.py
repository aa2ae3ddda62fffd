"""`.venv` as the requirements file says, then the launcher in it.

Runs under the system's Python (3.11 or newer) with nothing installed: standard library only. A start that finds the
environment in order costs a few milliseconds, so what only an installation needs is imported there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from router_site.launcher.problems import StartError, complain, say

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"
"""Contains the other: whoever has this one needs no more for running."""


def main(arguments: Sequence[str]) -> None:
    """`./run`: prepares what is missing, then becomes the launcher. `--prepare` and `--dev` are for the Makefile."""
    file = DEVELOPMENT if "--dev" in arguments else RUNTIME
    rest = [argument for argument in arguments if argument not in ("--dev", "--prepare")]
    environment = Environment(ROOT)
    try:
        if not environment.is_ready(file):
            _refuse_wrong_options(rest)
            environment.prepare(file)
    except StartError as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        complain("Interrupted; the next ./run starts the installation afresh.")
        sys.exit(130)
    if "--prepare" not in arguments:
        _become_launcher(environment, rest)


def _refuse_wrong_options(arguments: Sequence[str]) -> None:
    """`--help` and a mistyped option are answered before a long installation."""
    from router_site.launcher.options import parse_options

    parse_options(arguments)


def _become_launcher(environment: Environment, arguments: Sequence[str]) -> None:
    # The caller's directory stays, since relative paths among the options are meant from there; -P keeps modules
    # lying around in it from being taken for ours.
    paths = [str(environment.root), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    python = str(environment.python)
    os.execv(python, [python, "-P", "-m", "router_site.launcher", *arguments])  # noqa: S606


class Environment:
    """The virtual environment of the repository at `root`.

    A stamp in it, written last, names the requirements it matches; a marker, written first, tells an installation
    that was cut short from one that somebody made by hand.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / ".venv"
        self.python = self.directory / "bin" / "python"
        self._stamp = self.directory / ".requirements"
        self._marker = self.directory / ".installing"

    def is_ready(self, file: str) -> bool:
        """True when everything in `file`, as it reads now, is installed for the Python that is there now."""
        try:
            stamps = self._stamp.read_text().splitlines()
        except OSError:
            return False
        return self._stamp_of(file) in stamps and not self._marker.exists()

    def prepare(self, file: str) -> None:
        """Makes or completes the environment. Raises `StartError`; safe to call from several processes."""
        from router_site.launcher.installation import Installation

        with self._locked() as lock:
            if self.is_ready(file):  # another ./run made it meanwhile
                return
            say(f"Preparing .venv from {file}; the first time this takes a while …")
            self._discard_half_made()
            self.directory.mkdir(exist_ok=True)
            self._marker.touch()
            Installation(self.directory, lock).install(self.root / file)
            contained = (RUNTIME, DEVELOPMENT) if file == DEVELOPMENT else (RUNTIME,)
            self._stamp.write_text("".join(f"{self._stamp_of(name)}\n" for name in contained))
            self._marker.unlink()

    def _discard_half_made(self) -> None:
        import shutil

        is_broken = self.directory.exists() and not self.python.exists()
        if is_broken or self._marker.exists() or self._has_other_python():
            shutil.rmtree(self.directory)

    def _has_other_python(self) -> bool:
        """True when the system's Python became another under an environment of ours: its packages are not found."""
        try:
            stamps = self._stamp.read_text()
        except OSError:
            return False
        return self._python_id() not in stamps

    def _python_id(self) -> str:
        return os.path.realpath(self.python)

    def _stamp_of(self, file: str) -> str:
        digest = hashlib.sha256((self.root / file).read_bytes()).hexdigest()
        return f"{file} {digest} {self._python_id()}"

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Locks the repository's directory itself, which leaves no file behind; gives the descriptor.

        The installer inherits it: after a kill -9 of `./run` nobody else begins before the installer has ended too.
        """
        lock = os.open(self.root, os.O_RDONLY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another ./run is preparing .venv; waiting for it …")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)
