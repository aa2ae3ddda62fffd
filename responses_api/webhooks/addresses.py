"""Which addresses a URL that a user gave may lead to: the internet's, not our own network's.

A name is resolved once, every address it has is judged, and the caller connects to one of those judged: a name that
says something else a moment later (DNS rebinding) changes nothing. Pure, but for `resolve`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import httpx

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port → addresses, the preferred first; raises `OSError` where there are none."""

# Neither brackets, zones (`%eth0`), escapes nor backslashes: what parsers disagree about is not worth a guess.
_HOST = re.compile(r"[A-Za-z0-9._:-]+\Z")
_MORE_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(each)
    # Carrier-grade NAT, protocol assignments, 6to4 relays: later Pythons know some of them as well.
    for each in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24")
)
# The only range of IPv6 from which public addresses have been given out, and what is set apart in it.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_MORE_REFUSED_V6 = (IPv6Network("3fff::/20"),)
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """The URL must not be called; the message says why, in words for whoever set it up."""


def check_url(url: str, *, allow_private: bool) -> httpx.URL:
    """The parsed `url`, as far as it can be judged without asking for addresses. Raises `AddressRefused`."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise AddressRefused("not a URL") from None
    if parsed.scheme not in (("http", "https") if allow_private else ("https",)):
        raise AddressRefused("not an http or https URL" if allow_private else "not an https URL")
    if parsed.userinfo:
        raise AddressRefused("credentials in the URL")
    host = ascii_host(parsed)
    if not _HOST.match(host):
        raise AddressRefused("no valid host in the URL")
    if not 1 <= port_of(parsed) <= 65535:
        raise AddressRefused("no valid port in the URL")
    if _is_literal(host):
        _check_address(host, allow_private)
    return parsed


def addresses(url: httpx.URL, resolve: Resolve, *, allow_private: bool) -> Sequence[str]:
    """Where `url`'s host may be reached. Raises `AddressRefused`, also if only one of several addresses is refused."""
    try:
        found = resolve(ascii_host(url), port_of(url))
    except (OSError, UnicodeError):
        found = ()
    if not found:
        raise AddressRefused("unknown host")
    for address in found:
        _check_address(address, allow_private)
    return found


def resolve(host: str, port: int) -> list[str]:
    """What the system's resolver says; it also knows `127.1`, `0x7f000001` and `2130706433`. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def ascii_host(url: httpx.URL) -> str:
    """As it travels: in Punycode, IPv6 without brackets."""
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80


def is_public(address: str) -> bool:
    """Is it an address of the internet, also where it holds another (mapped, 6to4, NAT64)? Raises `ValueError`."""
    parsed = ipaddress.ip_address(address)
    return _is_public_v4(parsed) if isinstance(parsed, IPv4Address) else _is_public_v6(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    if address.is_multicast or address.is_reserved or any(address in each for each in _MORE_REFUSED_V4):
        return False
    return address.is_global


def _is_public_v6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    held = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        held = IPv4Address(address.packed[-4:])
    if held is not None:
        return _is_public_v4(held)
    return address in _GLOBAL_UNICAST and address.is_global and not any(address in each for each in _MORE_REFUSED_V6)


def _check_address(address: str, allow_private: bool) -> None:
    try:
        is_allowed = allow_private or is_public(address)
    except ValueError:
        is_allowed = False
    if not is_allowed:
        raise AddressRefused("not a public address")


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
