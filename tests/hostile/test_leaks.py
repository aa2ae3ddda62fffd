"""What a client sends reaches nobody it is not meant for: no other address, no log's structure, no header, no page."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from responses_api.config.schema import BackendConfig, RouterConfig
from router_site import logs
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway


@pytest.fixture
def neighbour() -> Iterator[tuple[str, list[bytes]]]:
    """A server that nobody should call; its URL and what it heard."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                heard.append(connection.recv(1000))

    threading.Thread(target=listen, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret", heard
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


PARTS: dict[str, Any] = {
    "image": lambda url: [{"type": "input_image", "image_url": url, "detail": "auto"}],
    "file": lambda url: [{"type": "input_file", "file_url": url}],
}


@pytest.mark.parametrize("kind", PARTS)
def test_urls_in_items_are_the_backends_to_fetch(
    http: httpx.Client, neighbour: tuple[str, list[bytes]], kind: str
) -> None:
    url, heard = neighbour
    for each in (url, "file:///etc/passwd", "gopher://127.0.0.1:1/x", "http://169.254.169.254/latest/meta-data"):
        item = {"role": "user", "content": PARTS[kind](each)}
        answer = http.post("/responses", json={"model": "m", "input": [item]})
        assert answer.status_code in (200, 400), answer.text
        assert "root:" not in answer.text
    assert heard == []


def test_mcp_servers_and_searches_are_not_called_for_a_client(
    http: httpx.Client, neighbour: tuple[str, list[bytes]]
) -> None:
    url, heard = neighbour
    tool = {"type": "mcp", "server_label": "x", "server_url": url}
    assert http.post("/responses", json={"model": "m", "input": "hi", "tools": [tool]}).status_code == 400
    assert heard == []


NASTY = ["a\r\nset-cookie: b=c", "a\nb", '"}\n{"level":"error","event":"forged"}', "\x1b[2J", "\u2028", "<script>"]


@pytest.mark.parametrize("text", NASTY)
def test_no_text_becomes_a_header_or_a_line_of_its_own(http: httpx.Client, backend: FakeBackend, text: str) -> None:
    backend.script(times=None, text=text)
    body = {"model": text, "input": text, "metadata": {"a": text}, "user": text, "prompt_cache_key": text}
    answer = http.post("/responses", json=body, headers={"x-cache-key": "n"})
    assert answer.status_code < 500
    assert "set-cookie" not in answer.headers
    assert all("\n" not in value and "\r" not in value for value in answer.headers.values())
    for each in (text, {"nested": text}):
        line = logs._line(None, "info", {"event": "request", "project": each})
        assert line.count(b"\n") == 0
        assert json.loads(line)["event"] == "request"


@contextmanager
def closing_gateway(gateway: Gateway) -> Iterator[None]:
    try:
        yield
    finally:
        gateway.stop()


SECRET = "sk-backend-0123456789abcdef"
CLIENTS_OWN = "rr-client-0123456789abcdef"


@pytest.mark.django_db(transaction=True)
def test_secrets_are_in_no_answer_no_log_and_no_figure(
    router_config: RouterConfig, backend: FakeBackend, settings: Any
) -> None:
    """Whatever the backend says of the key it was given."""
    settings.ROUTER_ALLOW_ANONYMOUS = True
    backend.script(times=None, status=401, error={"message": f"Incorrect API key provided: {SECRET}", "type": "auth"})
    backends = (BackendConfig("b", backend.base_url, api_key=SECRET, headers={"x-secret": SECRET}),)
    gateway = Gateway(replace(router_config, backends=backends))
    client = httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {CLIENTS_OWN}"}, timeout=10)
    with capture_logs() as logged, closing_gateway(gateway), client as http:
        answers = [
            http.post("/v1/responses", json={"model": "m", "input": "hi"}),
            http.post("/v1/responses", json={"model": "m", "input": "hi", "stream": True}),
            http.post("/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": "x"}]}),
            http.get("/v1/models"),
            http.get("/metrics"),
            http.get("/readyz"),
        ]
    assert {answer.status_code for answer in answers[:3]} == {502}
    assert logged
    told = "".join(f"{answer.headers}{answer.text}" for answer in answers) + repr(logged)
    assert SECRET not in told
    assert CLIENTS_OWN not in told
