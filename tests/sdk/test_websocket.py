"""`client.responses.connect()`: one connection, one response after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai
import pytest
from websockets.sync.client import ClientConnection, connect

from responses_api.config.schema import RouterConfig, WebSocketConfig
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway

TERMINAL = ("response.completed", "response.failed", "response.incomplete")


@pytest.fixture
def socket(gateway: Gateway) -> Iterator[ClientConnection]:
    with connect(f"{gateway.base_url.replace('http', 'ws')}/responses") as socket:
        yield socket


def turn(socket: ClientConnection, **fields: Any) -> list[dict[str, Any]]:
    """Everything that answers one `response.create`."""
    socket.send(json.dumps({"type": "response.create", "model": "m", **fields}))
    return answer(socket)


def answer(socket: ClientConnection) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in (*TERMINAL, "error"):
        events.append(json.loads(socket.recv(10)))
    return events


def text_of(events: list[dict[str, Any]]) -> str:
    return str(events[-1]["response"]["output"][0]["content"][0]["text"])


# What the client does on its own account.
@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
def test_the_official_client_talks_over_one_connection(gateway: Gateway) -> None:
    client = openai.OpenAI(base_url=gateway.base_url, api_key="unused")
    with client.responses.connect() as connection:
        connection.response.create(model="m", input="My name is Ada.")
        first = None
        for event in connection:
            if event.type == "response.completed":
                first = event.response
                break
        assert first is not None
        connection.response.create(model="m", input="What is my name?", previous_response_id=first.id)
        kinds = []
        for event in connection:
            kinds.append(event.type)
            if event.type == "response.completed":
                assert event.response.output_text == "Your name is Ada."
                break
        assert kinds[:2] == ["response.created", "response.in_progress"]
    assert client.responses.retrieve(first.id).output_text == first.output_text


def test_the_events_are_those_of_a_stream(socket: ClientConnection, backend: FakeBackend) -> None:
    backend.script(pieces=["Hel", "lo"])
    events = turn(socket, input="hi")
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(10))


def test_what_is_not_stored_is_remembered_by_its_connection_alone(gateway: Gateway, socket: ClientConnection) -> None:
    first = turn(socket, input="My name is Ada.", store=False)
    first_id = first[-1]["response"]["id"]
    second = turn(socket, input="What is my name?", previous_response_id=first_id, store=False)
    assert text_of(second) == "Your name is Ada."
    third = turn(socket, input="And again?", previous_response_id=second[-1]["response"]["id"], store=False)
    assert third[-1]["response"]["status"] == "completed"
    # Only the newest is remembered, and only here.
    with connect(f"{gateway.base_url.replace('http', 'ws')}/responses") as other:
        for elsewhere in (socket, other):
            (refused,) = turn(elsewhere, input="?", previous_response_id=first_id, store=False)
            assert refused["status"] == 400
            assert refused["error"]["code"] == "previous_response_not_found"
            assert refused["error"]["param"] == "previous_response_id"


def test_a_continuation_that_fails_forgets_what_it_went_on_from(socket: ClientConnection, backend: FakeBackend) -> None:
    first_id = turn(socket, input="hi", store=False)[-1]["response"]["id"]
    backend.script(status=500)
    (failed,) = turn(socket, input="more", previous_response_id=first_id, store=False)
    assert failed["status"] == 502
    (refused,) = turn(socket, input="more", previous_response_id=first_id, store=False)
    assert refused["error"]["code"] == "previous_response_not_found"


def test_requests_are_answered_one_by_one_in_their_order(socket: ClientConnection, backend: FakeBackend) -> None:
    backend.script(delay_ms=200, text="slow")
    backend.script(text="fast")
    for _ in range(2):
        socket.send(json.dumps({"type": "response.create", "model": "m", "input": "hi"}))
    assert [text_of(answer(socket)), text_of(answer(socket))] == ["slow", "fast"]


@pytest.mark.parametrize(
    ("frame", "code", "message"),
    [
        ("{", "invalid_json", "could not parse"),
        (b"{}", "invalid_json", "Send text frames"),
        ('{"model": "m"}', "invalid_type", "Invalid type for 'type'"),
        ('{"type": "response.dance"}', "invalid_value", "Supported values are: 'response.create'"),
        ('{"type": "response.create", "model": "m"}', "missing_required_parameter", "input"),
        (
            '{"type": "response.create", "model": "m", "input": "hi", "background": true}',
            "unsupported_parameter",
            "HTTP",
        ),
        ('{"type": "response.create", "model": "m", "input": "hi", "stream_id": "a b"}', "invalid_stream_id", "256"),
    ],
)
def test_a_bad_request_is_told_and_the_connection_goes_on(
    socket: ClientConnection, frame: str | bytes, code: str, message: str
) -> None:
    socket.send(frame)
    (refused,) = answer(socket)
    assert (refused["type"], refused["status"], refused["error"]["code"]) == ("error", 400, code)
    assert message in refused["error"]["message"]
    assert turn(socket, input="hi")[-1]["type"] == "response.completed"


def test_streams_of_one_connection_are_told_apart(socket: ClientConnection) -> None:
    one = turn(socket, input="My name is Ada.", store=False, stream_id="one")
    two = turn(socket, input="My name is Bob.", store=False, stream_id="two")
    assert {event["stream_id"] for event in one} == {"one"}
    assert {event["stream_id"] for event in two} == {"two"}
    asked = turn(
        socket, input="What is my name?", store=False, stream_id="one", previous_response_id=one[-1]["response"]["id"]
    )
    assert text_of(asked) == "Your name is Ada."


def test_a_warm_up_makes_a_response_without_output(socket: ClientConnection, backend: FakeBackend) -> None:
    events = turn(socket, input="My name is Ada.", generate=False)
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.completed"]
    assert backend.calls()["chat"] == 0
    asked = turn(socket, input="What is my name?", previous_response_id=events[-1]["response"]["id"])
    assert text_of(asked) == "Your name is Ada."


def test_a_client_that_leaves_stops_its_backend_call(socket: ClientConnection, backend: FakeBackend) -> None:
    backend.script(stall_after=2)
    socket.send(json.dumps({"type": "response.create", "model": "m", "input": "hi"}))
    socket.recv(5)
    socket.close()
    backend.wait_for(aborted=1, in_flight=0)


class TestTheEndOfItsTime:
    @pytest.fixture
    def router_config(self, router_config: RouterConfig) -> RouterConfig:
        return replace(router_config, websocket=WebSocketConfig(max_seconds=0.3))

    def test_the_client_is_told_to_open_another(self, socket: ClientConnection) -> None:
        (told,) = answer(socket)
        assert told["error"]["code"] == "websocket_connection_limit_reached"
        with pytest.raises(Exception, match="1000"):
            socket.recv(5)
