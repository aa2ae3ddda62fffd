"""`python -m router_site.launcher.web --fd N …`: one web process, serving on a socket that the launcher opened.

Several of them share the socket as direct children of the launcher. `uvicorn --workers` puts a supervisor of its own
in between, whose processes go on serving after it was killed; and its `--fd` takes the socket for a Unix one.
"""

from __future__ import annotations

import argparse
import socket

import uvicorn

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""Of a WebSocket; as large as a request's body may be by default."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m router_site.launcher.web")
    parser.add_argument("--fd", type=int, required=True, help="descriptor of a listening socket")
    parser.add_argument("--graceful-seconds", type=int, required=True, help="for answers under way, once told to stop")
    options = parser.parse_args()
    config = uvicorn.Config(
        "router_site.asgi:application",
        interface="asgi3",
        lifespan="on",
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        # Deltas are too small to gain by it, and each connection would keep 64 KiB of window.
        ws_per_message_deflate=False,
        # The site logs JSON; uvicorn's own lines go the same way.
        log_config=None,
        timeout_graceful_shutdown=options.graceful_seconds,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=options.fd)])


if __name__ == "__main__":
    main()
