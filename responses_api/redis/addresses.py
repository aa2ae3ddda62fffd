"""How a server's address is written."""

from __future__ import annotations

DEFAULT_ADDRESS = "localhost:6379"


def split_address(address: str) -> tuple[str, int]:
    """`host:port`, `host` or `[v6]:port` → host and port; the port defaults to 6379."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        host, port = address, "6379"
    return host.strip("[]"), int(port)
