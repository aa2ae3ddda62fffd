"""`make bench`: what a request costs, beside the least an ASGI application can do under the same server."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from bench import cores, table
from bench.load import CONNECTIONS, LoadError
from bench.rows import ROWS, Figures, Row
from bench.stage import Stage


def main() -> int:
    options = _options()
    if sys.platform != "linux":
        print("The benchmark reads /proc and pins processes to cores: it needs Linux.", file=sys.stderr)
        return 2
    # As Ctrl-C: the children end in order, and the temporary directory goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        measured, core_count = _measure(options.only, options.seconds)
    except KeyboardInterrupt:
        return 130
    except LoadError as error:
        print(f"The benchmark stops: {error}", file=sys.stderr)
        return 1
    is_kept = _print_conclusions(measured, core_count)
    if options.json:
        options.json.write_text(json.dumps(table.as_json(measured, core_count), indent=1) + "\n")
    return 1 if options.strict and not is_kept else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(row.name for row in ROWS)
    parser.add_argument("--only", type=_rows, default=ROWS, metavar="ROW,...", help=f"of {names}")
    parser.add_argument("--seconds", type=_seconds, default=4.0, help="for each row of requests (default: 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a floor is not met")
    return parser.parse_args()


def _rows(text: str) -> tuple[Row, ...]:
    by_name = {row.name: row for row in ROWS}
    wanted = text.split(",")
    if unknown := [name for name in wanted if name not in by_name]:
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(unknown)}")
    return tuple(row for row in ROWS if row.name in wanted)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.2 <= seconds <= 15:
        raise argparse.ArgumentTypeError("between 0.2 and 15: the whole takes less than three minutes")
    return seconds


def _measure(rows: tuple[Row, ...], seconds: float) -> tuple[dict[str, Figures], int]:
    """Row name → figures, each row printed as soon as it is there; and how many cores were in use."""
    measured: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Stage(Path(name)) as stage:
        core_count = len(stage.server_cores | stage.rest_cores)
        print(f"{cores.describe(stage.server_cores, stage.rest_cores)} {CONNECTIONS} connections.\n")
        print(table.heading(), flush=True)
        for row in rows:
            measured[row.name] = row.measure(stage, seconds)
            print(table.line(measured[row.name], measured.get("hello"), core_count), flush=True)
    return measured, core_count


def _print_conclusions(measured: dict[str, Figures], core_count: int) -> bool:
    """Legend, notes and floors; True where no floor is broken."""
    print(f"\n{table.LEGEND}\n")
    for note in table.notes(measured, core_count):
        print(f"Note: {note}")
    floors = list(table.floor_lines(measured))
    print("\nFloors", *(text for text, _ in floors), sep="\n")
    return all(is_met for _, is_met in floors)


if __name__ == "__main__":
    sys.exit(main())
