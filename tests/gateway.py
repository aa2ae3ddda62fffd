"""The gateway on a real socket, in a thread of its own: the same entry, runtime and server as in production."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import uvicorn

from responses_api.api.entry import Entry
from responses_api.api.websocket import SocketEntry
from responses_api.backends.health import ReadListed
from responses_api.background.shapes import Enqueue
from responses_api.cache.filing_queue import File
from responses_api.config.schema import RouterConfig
from responses_api.runtime import Runtime
from router_site.http_protocol import GatewayProtocol

_PATIENCE_SECONDS = 5


class Gateway:
    """Serves `config` on `url` from construction until `stop()`."""

    def __init__(
        self,
        config: RouterConfig,
        host: str = "127.0.0.1",
        enqueue: Enqueue | None = None,
        file: File | None = None,
        read_listed: ReadListed | None = None,
    ) -> None:
        self._config = config
        self._enqueue = enqueue
        self._file = file
        self._read_listed = read_listed
        self._socket = socket.create_server((host, 0), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.base_url = f"{self.url}/v1"
        self.runtime: Runtime
        self.loop: asyncio.AbstractEventLoop
        self._entry: Entry | None = None
        self._sockets: SocketEntry | None = None
        self._server_config = uvicorn.Config(
            self,
            interface="asgi3",
            http=GatewayProtocol,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            lifespan="off",
            ws="websockets-sansio",
        )
        self._server = uvicorn.Server(self._server_config)
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._server.started:
            assert time.monotonic() < deadline, "the gateway did not start"
            time.sleep(0.002)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_PATIENCE_SECONDS)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        entry = self._sockets if scope["type"] == "websocket" else self._entry
        assert entry is not None
        await entry(scope, receive, send)

    def answer_at_once(self, scope: dict[str, Any], body: bytes) -> Any:
        assert self._entry is not None
        return self._entry.answer_at_once(scope, body)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.runtime = Runtime(self._config, self._enqueue, self._file, self._read_listed)
        self.runtime.health.start()
        self._entry, self._sockets = Entry(self.runtime), SocketEntry(self.runtime)
        await self._server.serve(sockets=[self._socket])
        await self.runtime.aclose()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server_config.get_loop_factory()) as runner:
            runner.run(self._serve())
