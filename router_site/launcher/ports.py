"""Taking a port, finding a free one, and naming who holds one."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from router_site.launcher.problems import StartError

_BACKLOG = 2048
_LISTENING = "0A"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `StartError` that names the holder of a taken port, where it can be found.

    Taken here, not in the web process: the port is ours before anything else starts, clients wait out a web process
    that is being replaced, and several web processes share it.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise StartError(f"Cannot serve on {host}:{port}: {_explain(error, port)}") from None


def _explain(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        by = f" by pid {holder[0]} ({holder[1]})" if holder else ""
        return f"the port is taken{by}. Stop that process, or choose another port: --port PORT."
    if error.errno == errno.EACCES:
        return "ports below 1024 need privileges. Choose another: --port PORT."
    return f"{error.strerror or error}. Choose an address of this machine: --host ADDRESS."


def is_loopback(listener: socket.socket) -> bool:
    """True when only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url_of(listener: socket.socket) -> str:
    """Where to reach it from this machine: a socket on all addresses answers on loopback too."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def listen_on_first_free(ports: Iterable[int]) -> socket.socket:
    """A listening socket at 127.0.0.1 and the first of `ports` that is free, else any other."""
    for port in ports:
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    return socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)


def holder_of(port: int) -> tuple[int, str] | None:
    """Process id and name of whoever listens on `port`; None where /proc does not tell."""
    links = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not links:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(descriptor.readlink()) in links for descriptor in (process / "fd").iterdir()):
                return int(process.name), (process / "comm").read_text().strip()
        except OSError:  # it ended, or is somebody else's
            continue
    return None


def _listening_inodes(port: int) -> set[str]:
    """From the kernel's tables (proc(5)): fields are `address:port` in hex, second; state, fourth; inode, tenth."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}") and fields[3] == _LISTENING:
                inodes.add(fields[9])
    return inodes
