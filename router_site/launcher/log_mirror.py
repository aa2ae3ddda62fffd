"""`--verbose`: what the parts write to their logs, on the terminal too."""

from __future__ import annotations

from pathlib import Path

from router_site.launcher.problems import say


class LogMirror:
    """Reads the files rather than standing between a part and its log, where it could hold the part up."""

    def __init__(self) -> None:
        self._seen: dict[Path, int] = {}
        self._names: dict[Path, str] = {}

    def add(self, name: str, log: Path) -> None:
        """From here on; again for a part that is started again changes nothing."""
        self._names[log] = name
        self._seen.setdefault(log, log.stat().st_size if log.exists() else 0)

    def show_new(self) -> None:
        """Whole lines only; the rest of one that is being written comes with the next call."""
        for log, seen in self._seen.items():
            if not log.exists():
                continue
            with log.open("rb") as file:
                file.seek(seen)
                lines = file.read().rpartition(b"\n")[0]
            if lines:
                self._seen[log] = seen + len(lines) + 1
                for line in lines.decode(errors="replace").split("\n"):
                    say(f"{self._names[log]:>8} | {line}")
