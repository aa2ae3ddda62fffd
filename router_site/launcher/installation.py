"""Making a virtual environment and filling it, with whatever tool the machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from router_site.launcher import package_index
from router_site.launcher.problems import StartError, complain

_SHOWN_LINES = 15


class Installation:
    """Into the virtual environment at `directory`; `lock` is inherited by the tools.

    uv where it is on PATH, else pip: the environment's own, else this Python's, else a pinned wheel of it. A bare
    Debian has neither pip nor ensurepip.
    """

    def __init__(self, directory: Path, lock: int) -> None:
        self._directory = directory
        self._python = directory / "bin" / "python"
        self._lock = lock
        self._uv = shutil.which("uv")
        self._settings = package_index.pip_settings(os.environ)

    def install(self, requirements: Path) -> None:
        """Everything in `requirements`, hash-checked. Raises `StartError` with the remedy."""
        if not self._python.exists():
            self._make()
        command = [*self._installer(), "--require-hashes", "-r", str(requirements)]
        if self._run(command) != 0:
            raise StartError(
                f"Could not install what {requirements.name} lists (see above). Check the network and the package "
                "index (PIP_INDEX_URL or pip.conf), then start again."
            )

    def _make(self) -> None:
        path = str(self._directory)
        if self._uv:
            commands = [[self._uv, "venv", "--allow-existing", "--python", sys.executable, path]]
        else:
            commands = [[sys.executable, "-m", "venv", path], [sys.executable, "-m", "venv", "--without-pip", path]]
            if find_spec("ensurepip") is None:
                del commands[0]
        *attempts, last = commands
        if any(self._run(command, is_quiet=True) == 0 for command in attempts):
            return
        if self._run(last) != 0:
            raise StartError(
                f"{sys.executable} cannot make a virtual environment (see above). Install its venv module "
                "(apt install python3-venv) or uv, then start again."
            )

    def _installer(self) -> list[str]:
        python = str(self._python)
        if self._uv:
            return [self._uv, "pip", "install", "--python", python]
        if self._run([python, "-m", "pip", "--version"], is_quiet=True) == 0:
            return [python, "-m", "pip", "install"]
        if find_spec("pip") is not None:
            return [sys.executable, "-m", "pip", "--python", python, "install"]
        # A wheel is a zip file that Python can import from.
        wheel = package_index.fetch_pip(self._settings, self._directory)
        return [python, str(wheel / "pip"), "install"]

    def _run(self, command: Sequence[str], *, is_quiet: bool = False) -> int:
        """The exit status; the last lines of what a failed command said go to the terminal unless `is_quiet`."""
        result = subprocess.run(  # noqa: S603 - our own commands
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self._environ(),
            pass_fds=(self._lock,),
            check=False,
        )
        if result.returncode != 0 and not is_quiet:
            complain("\n".join(result.stdout.splitlines()[-_SHOWN_LINES:]))
        return result.returncode

    def _environ(self) -> Mapping[str, str]:
        """uv reads none of pip's settings, so they are told to it; PYTHONPATH would lead the tools astray."""
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if self._uv:
            return package_index.uv_environ(self._settings, environ) | environ
        return environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
