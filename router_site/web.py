"""`python -m router_site.web`: one web process, on an address of its own or on a socket that somebody opened for it.

Several share a socket (`--fd`) as direct children of the launcher. `uvicorn --workers` puts a supervisor of its own
in between, whose processes go on serving after it was killed; and its `--fd` takes the socket for a Unix one.
"""

from __future__ import annotations

import argparse
import socket

import uvicorn

from router_site.http_protocol import GatewayProtocol

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""Of a WebSocket; as large as a request's body may be by default."""


def main() -> None:
    options = _options()
    config = uvicorn.Config(
        "router_site.asgi:application",
        interface="asgi3",
        http=GatewayProtocol,
        lifespan="on",
        access_log=False,
        # Only Django's pages read what a proxy tells of a client; see `router_site.asgi`.
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        # Deltas are too small to gain by it, and each connection would keep 64 KiB of window.
        ws_per_message_deflate=False,
        # The site logs JSON; uvicorn's own lines go the same way.
        log_config=None,
        host=options.host,
        port=options.port,
        timeout_graceful_shutdown=options.graceful_seconds,
    )
    sockets = None if options.fd is None else [socket.socket(fileno=options.fd)]
    uvicorn.Server(config).run(sockets=sockets)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m router_site.web", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8801, help="default: %(default)s")
    parser.add_argument("--fd", type=int, help="descriptor of a listening socket, instead of host and port")
    parser.add_argument(
        "--graceful-seconds",
        type=int,
        default=30,
        help="for answers under way, once told to stop (default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
