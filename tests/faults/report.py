"""What was tried and how it went, as the table of `docs/reliability.md`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
HEAD = "| what | while | fault | tried | outcome | s until it was so |\n|---|---|---|---|---|---|"


@dataclass(slots=True)
class Row:
    """One fault at one stage; `seconds` from the fault to the end of each try."""

    outcomes: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Report:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Row] = {}

    def add(self, what: str, stage: str, fault: str, outcome: str, seconds: float) -> None:
        row = self.rows.setdefault((what, stage, fault), Row())
        row.outcomes.append(outcome)
        row.seconds.append(seconds)

    def table(self) -> str:
        lines = [
            f"| {what} | {stage} | {fault} | {len(row.outcomes)} | {'; '.join(dict.fromkeys(row.outcomes))} "
            f"| {max(row.seconds):.1f} |"
            for (what, stage, fault), row in self.rows.items()
        ]
        return "\n".join([HEAD, *lines])

    def write(self) -> None:
        """Into the document, in place of the last one."""
        text = DOCUMENT.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{self.table()}\n\n{END}{after}")


def documented() -> set[tuple[str, str, str]]:
    """The faults that the document lists."""
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")
    ]
    return {(row[0], row[1], row[2]) for row in rows[1:]}
