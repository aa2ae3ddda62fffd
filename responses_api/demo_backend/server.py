"""Command-line options and the server itself, for `manage.py demo_backend` and for running without Django."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Any

import uvicorn

from responses_api.demo_backend.app import DemoBackend
from responses_api.demo_backend.script import Steps

HELP = "Serve a deterministic OpenAI-compatible backend: streams, calls tools, reports usage, needs no model."

# A quick reader's pace: a stream is seen to be one.
_DEMO_TOKENS_PER_SECOND = 33.0


def add_options(parser: argparse.ArgumentParser, environ: Mapping[str, str] = os.environ) -> None:
    """An option's default comes from the environment: `--answer-bytes` from `DEMO_ANSWER_BYTES`, …"""

    def option(name: str, kind: type, default: Any, explained: str) -> None:
        variable = "DEMO_" + name.upper().replace("-", "_")
        parser.add_argument(
            f"--{name}", type=kind, default=environ.get(variable, default), help=f"{explained} [{variable}]"
        )

    option("host", str, "127.0.0.1", "address to listen on")
    option("port", int, 8002, "port to listen on")
    option("fd", int, None, "descriptor of a listening socket, instead of host and port")
    option("tokens-per-second", float, _DEMO_TOKENS_PER_SECOND, "pace of streams; 0: as fast as it can")
    option("delay-ms", float, None, "milliseconds before the headers of every chat answer")
    option("answer-bytes", int, None, "every answer is a text of exactly so many bytes")
    option("tokens", int, None, "every answer is a text of exactly so many pieces")
    option("context-tokens", int, None, "longer prompts are refused; counted in words")
    option("keep-bodies", int, 100, "requests kept for GET /calls?bodies=1; 0: none")


class Server(uvicorn.Server):
    """Breaks off the calls in flight when it stops: a stalled one would keep it waiting for ever."""

    def __init__(self, app: DemoBackend, **config: Any) -> None:
        super().__init__(uvicorn.Config(app, access_log=False, lifespan="off", ws="none", **config))
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.hang_up_all()
        await super().shutdown(sockets)


def serve(options: Mapping[str, Any]) -> None:
    """Runs until interrupted; `options` as parsed by `add_options`. Exits non-zero where it cannot listen."""
    steps = ("tokens_per_second", "delay_ms", "answer_bytes", "tokens", "context_tokens")
    app = DemoBackend(Steps(**{name: options[name] for name in steps}), keep_bodies=options["keep_bodies"])
    server = Server(app, host=options["host"], port=options["port"], log_level="error")
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=None if options["fd"] is None else [socket.socket(fileno=options["fd"])])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m responses_api.demo_backend", description=HELP)
    add_options(parser)
    serve(vars(parser.parse_args()))
