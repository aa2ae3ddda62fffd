"""What can be said to `./run`. Standard library only: `--help` answers before anything is installed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_DESCRIPTION = """\
Starts the gateway with all it needs: an embedded Valkey, the database's migrations, the web server, a Celery worker
with its clock, and, where no backend is configured, a demo backend that needs no model. Ctrl-C stops everything.
"""

_EPILOG = """\
environment:
  REDIS_URL               a Redis of yours (redis://user:password@host:6379/0) instead of the embedded server
  DATABASE_URL            postgres://user:password@host/name instead of SQLite under the data directory
  ROUTER_CONFIG           the configuration, as --config
  ROUTER_VAR_DIR          the data directory, as --var
  ROUTER_ALLOW_ANONYMOUS  1: serve anyone without an API key, also on another address than loopback
  ALLOWED_HOSTS           the names under which browsers reach the console, separated by commas
  WEB_CONCURRENCY         the number of web processes, as --workers
"""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; directories and files are absolute."""

    host: str
    port: int
    workers: int
    has_worker: bool
    has_demo: bool
    config: Path | None
    var: Path
    is_verbose: bool


def parse_options(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """Relative paths are meant from the current directory. Exits with status 2 and one line where they are wrong."""
    parser = _parser(environ)
    parsed = parser.parse_args(arguments)
    if parsed.workers < 1:
        parser.error(f"--workers {parsed.workers}: at least one web process is needed")
    if not 0 < parsed.port < 65536:
        parser.error(f"--port {parsed.port}: ports are 1 to 65535")
    return Options(
        host=parsed.host,
        port=parsed.port,
        workers=parsed.workers,
        has_worker=not parsed.no_worker,
        has_demo=not parsed.no_demo,
        config=parsed.config.absolute() if parsed.config else None,
        var=parsed.var.absolute(),
        is_verbose=parsed.verbose,
    )


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root = Path(__file__).resolve().parents[2]
    config, var = environ.get("ROUTER_CONFIG") or None, environ.get("ROUTER_VAR_DIR") or root / "var"
    workers = environ.get("WEB_CONCURRENCY") or 1
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    add("--port", type=int, default=8801, help="port to serve on (default: %(default)s)")
    add("--workers", type=int, default=workers, metavar="N", help="web processes (default: %(default)s)")
    add("--no-worker", action="store_true", help="no Celery worker: another machine runs it")
    add("--no-demo", action="store_true", help="no demo backend where none is configured")
    add("--config", type=Path, default=config, metavar="FILE", help="the YAML (default: config/config.yaml)")
    add("--var", type=Path, default=var, metavar="DIR", help="data, logs and lock (default: %(default)s)")
    add("--verbose", action="store_true", help="show the processes' logs here too")
    # Read by `run` before the launcher begins.
    add("--prepare", action="store_true", help="only make .venv, start nothing")
    add("--dev", action="store_true", help="install what tests and checks need as well")
    return parser
