"""What the gateway says of each request, seen where the console looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from responses_api import index_drain
from responses_api.config.schema import RedisConfig
from responses_api.models import ResponseIndex
from tests.fake_backend import FakeBackend

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(redis_config: RedisConfig) -> Iterator[Any]:
    client = redis.Redis.from_url(f"redis://{redis_config.address}/0")

    def drained() -> list[ResponseIndex]:
        index_drain.drain(client, redis_config.key_prefix)
        return list(ResponseIndex.objects.order_by("created_at"))

    yield drained
    client.close()


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
    assert sorted((row.status, row.error_code, row.stored) for row in rows()) == [
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
    (row,) = rows()
    assert row.deleted_at is not None
    assert row.model == "m"


def test_no_payload_is_in_the_index(http: httpx.Client, redis_config: RedisConfig) -> None:
    http.post("/responses", json={"model": "m", "input": "my secret question"})
    client = redis.Redis.from_url(f"redis://{redis_config.address}/0")
    raw = client.xrange(f"{redis_config.key_prefix}index")
    client.close()
    assert b"secret question" not in repr(raw).encode()
