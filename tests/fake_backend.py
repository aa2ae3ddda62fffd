"""The demo backend on a real socket, in a thread of its own: scripted to misbehave, counting its calls."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from responses_api.demo_backend.app import DemoBackend
from responses_api.demo_backend.script import Script, Steps
from responses_api.demo_backend.server import Server

_PATIENCE_SECONDS = 5


class FakeBackend:
    """Answers on `base_url` (it ends in `/v1`) from construction until `stop()`.

    Every step of `responses_api/demo_backend/script.py` can be scripted:

        backend.script(status=429, headers={"retry-after": "1"})
        backend.script(times=2, cut_after=3)
        backend.script(times=None, on="health", status=503)     # until reset()
    """

    def __init__(self, **defaults: Any) -> None:
        self.app = DemoBackend(msgspec.convert(defaults, Steps))
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.base_url = f"http://{self.address}/v1"
        self._server = Server(self.app, log_config=None)
        self._thread = threading.Thread(target=self._run, name="fake-backend", daemon=True)
        self._thread.start()
        _wait_until(lambda: self._server.started, lambda: "the fake backend did not start")

    def script(self, times: int | None = 1, on: str = "chat", **steps: Any) -> None:
        """For the next `times` calls of the kind `on` (script.py: `Target`), after earlier scripts; None: for good."""
        self.app.scripts.add(msgspec.convert({"steps": steps, "times": times, "on": on}, Script))

    def calls(self) -> dict[str, int]:
        """`total`, each kind, `aborted`, `in_flight`, `connections` since the last reset."""
        return self.app.counts()

    def bodies(self, on: str = "chat") -> list[Any]:
        """The requests' bodies, decoded, oldest first."""
        return [msgspec.json.decode(call.body) for call in list(self.app.ledger.kept) if call.kind == on]

    def headers(self) -> list[dict[str, str]]:
        """The chat requests' headers, names in lower case, oldest first."""
        return [call.as_json()["headers"] for call in list(self.app.ledger.kept)]

    def wait_for(self, **counts: int) -> None:
        """Until `calls()` shows these counts: a server sees a client leave a moment after the client did."""
        _wait_until(lambda: counts.items() <= self.calls().items(), lambda: f"waited for {counts}, got {self.calls()}")

    def reset(self) -> None:
        """Forgets calls, bodies and scripts; breaks off calls that still hang."""
        self.app.scripts.clear()
        if self.calls()["in_flight"]:
            self._loop.call_soon_threadsafe(self.app.hang_up_all)
            self.wait_for(in_flight=0)
        self.app.reset()

    def stop(self) -> None:
        """Breaks off the calls in flight and frees the port."""
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join(_PATIENCE_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            self._loop = runner.get_loop()
            runner.run(self._server.serve(sockets=[self._socket]))


def _wait_until(condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(complaint())
        time.sleep(0.002)
