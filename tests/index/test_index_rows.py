"""What the gateway says of each request, seen where the console looks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from responses_api import index_drain
from responses_api.config.schema import RedisConfig
from responses_api.models import ResponseIndex
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.worker import Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(redis_config: RedisConfig) -> Iterator[Any]:
    client = redis.Redis.from_url(f"redis://{redis_config.address}/0")

    def drained(count: int = 1) -> list[ResponseIndex]:
        """At least so many: entries are handed to Redis without the answer's waiting for it."""
        deadline = time.monotonic() + 10
        while ResponseIndex.objects.count() < count:
            assert time.monotonic() < deadline
            index_drain.drain(client, redis_config.key_prefix)
        index_drain.drain(client, redis_config.key_prefix)
        return list(ResponseIndex.objects.order_by("created_at"))

    yield drained
    client.close()


def row_of(rows: Any, response_id: str, *statuses: str, deleted: bool = False) -> ResponseIndex:
    """Once it has one of the statuses: what happens is told after the client has its answer."""
    deadline = time.monotonic() + 10
    while True:
        found = {row.id: row for row in rows()}.get(response_id)
        if found is not None and found.status in statuses and (found.deleted_at is not None) == deleted:
            return found
        assert time.monotonic() < deadline, found and found.status
        time.sleep(0.02)


def test_a_stored_response(http: httpx.Client, rows: Any) -> None:
    answer = http.post("/responses", json={"model": "m", "input": "hi"})
    (row,) = rows()
    assert row.id == answer.json()["id"]
    assert row.request_id == answer.headers["x-request-id"]
    assert (row.project, row.model, row.status, row.backend) == ("default", "m", "completed", "fake")
    assert (row.stored, row.stream, row.error_code) == (True, False, "")
    assert row.input_tokens == answer.json()["usage"]["input_tokens"]
    assert row.expires_at is not None
    assert (row.expires_at - row.created_at).total_seconds() == 3600
    assert row.duration_ms > row.gateway_ms > 0
    assert row.request_bytes > 0
    assert row.response_bytes > 0


def test_a_response_that_is_not_stored_has_a_row_too(http: httpx.Client, rows: Any) -> None:
    http.post("/responses", json={"model": "m", "input": "hi", "store": False})
    (row,) = rows()
    assert (row.stored, row.status) == (False, "completed")
    assert row.expires_at is not None


def test_a_stream_tells_when_its_first_token_came(http: httpx.Client, rows: Any) -> None:
    http.post("/responses", json={"model": "m", "input": "hi", "stream": True})
    (row,) = rows()
    assert row.stream
    assert 0 < row.first_token_ms <= row.duration_ms


def test_failures_say_why(http: httpx.Client, backend: FakeBackend, rows: Any) -> None:
    backend.script(status=500)
    http.post("/responses", json={"model": "m", "input": "hi"})
    backend.script(pieces=["a", "b"], cut_after=2)
    http.post("/responses", json={"model": "m", "input": "hi", "stream": True})
    assert sorted((row.status, row.error_code, row.stored) for row in rows(2)) == [
        ("failed", "backend_error", False),
        ("failed", "server_error", True),
    ]


def test_a_client_that_left_is_a_cancelled_row(http: httpx.Client, backend: FakeBackend, rows: Any) -> None:
    backend.script(stall_after=2)
    with http.stream("POST", "/responses", json={"model": "m", "input": "hi", "stream": True}) as answer:
        next(answer.iter_lines())
    backend.wait_for(aborted=1)
    (row,) = rows()
    assert row.status == "cancelled"


def test_a_deleted_response_is_marked(http: httpx.Client, rows: Any) -> None:
    response_id = http.post("/responses", json={"model": "m", "input": "hi"}).json()["id"]
    http.delete(f"/responses/{response_id}")
    row = row_of(rows, response_id, "completed", deleted=True)
    assert row.deleted_at is not None
    assert row.model == "m"


def test_no_payload_is_in_the_index(http: httpx.Client, redis_config: RedisConfig) -> None:
    http.post("/responses", json={"model": "m", "input": "my secret question"})
    client = redis.Redis.from_url(f"redis://{redis_config.address}/0")
    raw = client.xrange(f"{redis_config.key_prefix}index")
    client.close()
    assert b"secret question" not in repr(raw).encode()


def test_a_background_run_has_one_row_from_its_beginning_to_its_end(
    http: httpx.Client, worker: Worker, backend: FakeBackend, rows: Any
) -> None:
    backend.script(pieces=["a", "b", "c"], tokens_per_second=3)
    answer = http.post("/responses", json={"model": "m", "input": "hi", "background": True})
    response_id = answer.json()["id"]
    begun = row_of(rows, response_id, "queued", "in_progress")
    assert (begun.background, begun.stored, begun.request_id) == (True, True, answer.headers["x-request-id"])
    ended = row_of(rows, response_id, "completed")
    assert (ended.request_id, ended.backend, ended.background) == (begun.request_id, "fake", True)
    assert ended.output_tokens == 3
    assert ResponseIndex.objects.count() == 1


def test_a_run_cancelled_before_anyone_took_it(gateway: Gateway, http: httpx.Client, rows: Any) -> None:
    answer = http.post("/responses", json={"model": "m", "input": "hi", "background": True})
    http.post(f"/responses/{answer.json()['id']}/cancel")
    row = row_of(rows, answer.json()["id"], "cancelled")
    assert (row.request_id, row.background) == (answer.headers["x-request-id"], True)
    assert row.request_bytes > 0


def test_a_conversation_is_named(http: httpx.Client, rows: Any) -> None:
    conversation = http.post("/conversations", json={}).json()["id"]
    http.post("/responses", json={"model": "m", "input": "hi", "conversation": conversation})
    (row,) = rows()
    assert row.conversation == conversation


@pytest.mark.parametrize(
    ("path", "body", "api"),
    [
        ("/chat/completions", {"messages": [{"role": "user", "content": "one two"}]}, "chat"),
        ("/chat/completions", {"messages": [{"role": "user", "content": "one two"}], "stream": True}, "chat"),
        ("/completions", {"prompt": "one two"}, "completions"),
        ("/embeddings", {"input": "one two"}, "embeddings"),
    ],
)
def test_what_is_passed_through_has_a_row(
    http: httpx.Client, rows: Any, path: str, body: dict[str, Any], api: str
) -> None:
    answer = http.post(path, json={"model": "m", **body})
    assert answer.status_code == 200
    (row,) = rows()
    assert (row.api, row.status, row.backend, row.stored) == (api, "completed", "fake", False)
    assert row.id == row.request_id == answer.headers["x-request-id"]
    assert (row.input_tokens, row.stream) == (2, "stream" in body)
    assert row.response_bytes > 0


def test_what_is_passed_through_and_fails_has_a_row_too(http: httpx.Client, backend: FakeBackend, rows: Any) -> None:
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    backend.script(status=500)
    http.post("/chat/completions", json=chat)
    backend.script(pieces=["a", "b"], cut_after=2)
    http.post("/chat/completions", json={**chat, "stream": True})
    backend.script(stall_after=2)
    with http.stream("POST", "/chat/completions", json={**chat, "stream": True}) as answer:
        next(answer.iter_lines())
    backend.wait_for(aborted=1)
    assert [row.status for row in rows(3)] == ["failed", "failed", "cancelled"]
