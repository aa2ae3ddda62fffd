from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from router_site.launcher import ports
from router_site.launcher.problems import StartError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_holder_of_a_port_is_named(taken: int) -> None:
    holder = ports.holder_of(taken)
    assert holder is not None
    assert holder[0] == os.getpid()
    with pytest.raises(StartError, match=f"taken by pid {os.getpid()} .*--port"):
        ports.listen("127.0.0.1", taken)


def test_a_taken_port_is_passed_over(taken: int) -> None:
    with ports.listen_on_first_free([taken]) as listener:
        assert listener.getsockname()[1] != taken


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartError, match="--host"):
        ports.listen("192.0.2.1", 1)


@pytest.mark.parametrize(("host", "is_loopback"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)])
def test_it_knows_who_can_reach_it(host: str, is_loopback: bool) -> None:
    with ports.listen(host, 0) as listener:
        assert ports.is_loopback(listener) == is_loopback
        assert ports.url_of(listener).startswith(("http://127.0.0.1:", "http://[::1]:"))
