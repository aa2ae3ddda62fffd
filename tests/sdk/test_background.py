"""`background=True` by the official client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai
import pytest
import redis
from openai.types.responses import Response

from responses_api.config.schema import BackendConfig, BackgroundConfig, RedisConfig, RouterConfig
from responses_api.stores.layout import companion_key, response_key
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.worker import Worker

PATIENCE_SECONDS = 20


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def router_config(router_config: RouterConfig) -> RouterConfig:
    return replace(router_config, background=BackgroundConfig(lease_seconds=2))


def wait_for(client: openai.OpenAI, response_id: str, *statuses: str) -> Response:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (response := client.responses.retrieve(response_id)).status not in statuses:
        assert time.monotonic() < deadline, response.status
        time.sleep(0.02)
    return response


def kinds(events: list[tuple[int, str]]) -> list[str]:
    return [kind.removeprefix("response.") for _, kind in events]


WHOLE = [
    "created",
    "queued",
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


def test_it_is_queued_and_then_made(client: openai.OpenAI, worker: Worker) -> None:
    queued = client.responses.create(model="m", input="What is 2+2?", background=True)
    assert (queued.status, queued.background, queued.output) == ("queued", True, [])
    done = wait_for(client, queued.id, "completed")
    assert done.output_text == "2+2 is 4."
    assert (done.id, done.created_at, done.background) == (queued.id, queued.created_at, True)
    assert client.responses.input_items.list(queued.id).data[0].content[0].text == "What is 2+2?"  # type: ignore[union-attr]
    after = client.responses.create(model="m", input="And 3+3?", previous_response_id=queued.id)
    assert after.status == "completed"
    assert worker.taken == [queued.id]


def test_its_stream_is_whole_and_can_be_replayed(client: openai.OpenAI, worker: Worker, backend: FakeBackend) -> None:
    backend.script(pieces=["Hel", "lo"])
    stream = client.responses.create(model="m", input="hi", background=True, stream=True)
    events = list(stream)
    assert kinds([(event.sequence_number, event.type) for event in events]) == WHOLE
    assert [event.sequence_number for event in events] == list(range(11))
    response_id = events[0].response.id  # type: ignore[union-attr]
    assert events[-1].response.output == client.responses.retrieve(response_id).output  # type: ignore[union-attr]
    for after in (-1, 0, 5, 9, 10, 99):
        start = {"starting_after": after} if after >= 0 else {}
        again = list(client.responses.retrieve(response_id, stream=True, **start))  # type: ignore[call-overload]
        assert again == events[after + 1 :]


def test_a_stream_goes_on_where_it_was_left(client: openai.OpenAI, worker: Worker, backend: FakeBackend) -> None:
    backend.script(tokens=30, tokens_per_second=60)
    seen = []
    with client.responses.create(model="m", input="hi", background=True, stream=True) as stream:
        for event in stream:
            seen.append(event)
            if len(seen) == 10:
                break
    response_id = seen[0].response.id  # type: ignore[union-attr]
    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=9))
    assert [event.sequence_number for event in (*seen, *rest)] == list(range(len(seen) + len(rest)))
    assert rest[-1].type == "response.completed"
    assert [event.delta for event in (*seen, *rest) if event.type == "response.output_text.delta"] == ["word "] * 30


def test_partial_output_is_shown(client: openai.OpenAI, worker: Worker, backend: FakeBackend) -> None:
    backend.script(tokens=5, stall_after=4)
    queued = client.responses.create(model="m", input="hi", background=True)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (response := client.responses.retrieve(queued.id)).output:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert response.status == "in_progress"
    assert client.responses.cancel(queued.id).status == "cancelled"


def test_cancelling_stops_the_backend_call_within_a_second(
    client: openai.OpenAI, worker: Worker, backend: FakeBackend
) -> None:
    backend.script(tokens=50, stall_after=6)
    stream = client.responses.create(model="m", input="hi", background=True, stream=True)
    response_id = next(event for event in stream if event.type == "response.created").response.id
    for event in stream:
        if event.type == "response.output_text.delta":
            break
    began = time.monotonic()
    cancelled = client.responses.cancel(response_id)
    assert cancelled.status == "cancelled"
    backend.wait_for(aborted=1)
    assert time.monotonic() - began < 1.5
    last = list(stream)[-1]
    assert last.type == "response.failed"
    assert last.response.status == "cancelled"
    assert client.responses.cancel(response_id).status == "cancelled"
    assert client.responses.retrieve(response_id).status == "cancelled"
    numbers = [event.sequence_number for event in client.responses.retrieve(response_id, stream=True)]
    assert numbers == list(range(len(numbers)))


def test_what_nobody_has_taken_yet_can_be_cancelled(gateway: Gateway, client: openai.OpenAI) -> None:
    queued = client.responses.create(model="m", input="hi", background=True)
    assert client.responses.cancel(queued.id).status == "cancelled"


def test_what_is_over_or_synchronous_cannot_be_cancelled(client: openai.OpenAI, worker: Worker) -> None:
    synchronous = client.responses.create(model="m", input="hi")
    with pytest.raises(openai.BadRequestError, match=r"Cannot cancel a synchronous response\."):
        client.responses.cancel(synchronous.id)
    queued = client.responses.create(model="m", input="hi", background=True)
    wait_for(client, queued.id, "completed")
    with pytest.raises(openai.BadRequestError, match=r"Cannot cancel a completed response\."):
        client.responses.cancel(queued.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.cancel("resp_nowhere")


def test_a_backend_that_fails_makes_a_failed_response(
    client: openai.OpenAI, worker: Worker, backend: FakeBackend
) -> None:
    backend.script(status=500, error={"message": "out of memory"})
    stream = client.responses.create(model="m", input="hi", background=True, stream=True)
    events = list(stream)
    assert kinds([(event.sequence_number, event.type) for event in events]) == ["created", "queued", "failed"]
    failed = events[-1].response  # type: ignore[union-attr]
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == ("server_error", "out of memory")
    backend.script(tokens=9, cut_after=3)
    failed = wait_for(client, client.responses.create(model="m", input="hi", background=True).id, "failed")
    assert failed.output_text == "word word "


def test_what_cannot_be_served_is_refused_at_once(client: openai.OpenAI, worker: Worker) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="m", input="hi", background=True, store=False)
    assert refused.value.param == "background"
    with pytest.raises(openai.BadRequestError, match="not found"):
        client.responses.create(model="m", input="hi", background=True, previous_response_id="resp_nowhere")
    assert worker.taken == []


def test_only_streamed_background_responses_can_be_streamed_again(client: openai.OpenAI, worker: Worker) -> None:
    synchronous = client.responses.create(model="m", input="hi")
    with pytest.raises(openai.BadRequestError, match="was not created with background=true"):
        client.responses.retrieve(synchronous.id, stream=True)
    queued = client.responses.create(model="m", input="hi", background=True)
    with pytest.raises(openai.BadRequestError, match="was not created with stream=true"):
        client.responses.retrieve(queued.id, stream=True)


def test_a_conversation_gets_what_was_said_and_is_locked_until_then(
    client: openai.OpenAI, worker: Worker, backend: FakeBackend
) -> None:
    made = client.conversations.create()
    backend.script(delay_ms=300, text="Hello.")
    queued = client.responses.create(model="m", input="hi", background=True, conversation=made.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="m", input="me too", conversation=made.id)
    assert refused.value.code == "conversation_locked"
    wait_for(client, queued.id, "completed")
    items = client.conversations.items.list(made.id, order="asc").data
    assert [item.content[0].text for item in items] == ["hi", "Hello."]  # type: ignore[union-attr]
    assert client.responses.create(model="m", input="me too", conversation=made.id).status == "completed"


def test_a_deleted_run_is_stopped(client: openai.OpenAI, worker: Worker, backend: FakeBackend) -> None:
    backend.script(stall_after=3)
    queued = client.responses.create(model="m", input="hi", background=True)
    wait_for(client, queued.id, "in_progress")
    client.responses.delete(queued.id)
    backend.wait_for(aborted=1)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(queued.id)


def test_a_memory_store_has_no_worker_to_offer(backend: FakeBackend, settings: Any) -> None:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    gateway = Gateway(RouterConfig(backends=(BackendConfig("fake", backend.base_url),)))
    with (
        openai.OpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client,
        pytest.raises(openai.BadRequestError, match="store_backend: redis") as refused,
    ):
        client.responses.create(model="m", input="hi", background=True)
    gateway.stop()
    assert refused.value.param == "background"


def test_events_that_are_not_kept_any_more_are_a_clear_error(
    client: openai.OpenAI, worker: Worker, redis_cli: redis.Redis, redis_config: RedisConfig
) -> None:
    events = list(client.responses.create(model="m", input="hi", background=True, stream=True))
    response_id = events[0].response.id  # type: ignore[union-attr]
    log = companion_key(response_key(redis_config.key_prefix, response_id), "events")
    redis_cli.xtrim(log, maxlen=3, approximate=False)
    kept = list(client.responses.retrieve(response_id, stream=True, starting_after=events[-4].sequence_number))
    assert kept == events[-3:]
    with pytest.raises(openai.BadRequestError, match="Retrieve it without 'stream'") as refused:
        client.responses.retrieve(response_id, stream=True)
    assert refused.value.code == "events_expired"
    redis_cli.delete(log)
    with pytest.raises(openai.BadRequestError, match="not kept any more"):
        client.responses.retrieve(response_id, stream=True)


class TestAWorkerThatDies:
    @pytest.fixture
    def doomed(self, router_config: RouterConfig) -> Iterator[Worker]:
        worker = Worker(router_config)
        yield worker
        worker.stop()

    @pytest.fixture
    def gateway(self, router_config: RouterConfig, settings: Any, doomed: Worker) -> Iterator[Gateway]:
        settings.ROUTER_ALLOW_ANONYMOUS = True
        gateway = Gateway(router_config, enqueue=doomed.enqueue)
        yield gateway
        gateway.stop()

    def recover_until(self, client: openai.OpenAI, worker: Worker, response_id: str, *statuses: str) -> Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (response := client.responses.retrieve(response_id)).status not in statuses:
            assert time.monotonic() < deadline, response.status
            worker.recover(later_seconds=10)
            time.sleep(0.2)
        return response

    def test_its_run_is_begun_again(
        self, client: openai.OpenAI, doomed: Worker, worker: Worker, backend: FakeBackend
    ) -> None:
        backend.script(tokens=9, stall_after=5)
        queued = client.responses.create(model="m", input="What is 2+2?", background=True)
        wait_for(client, queued.id, "in_progress")
        doomed.die()
        done = self.recover_until(client, worker, queued.id, "completed", "failed")
        assert done.output_text == "2+2 is 4."

    def test_a_stream_that_has_said_something_ends_with_the_reason(
        self, client: openai.OpenAI, doomed: Worker, worker: Worker, backend: FakeBackend
    ) -> None:
        backend.script(tokens=9, stall_after=5)
        stream = client.responses.create(model="m", input="hi", background=True, stream=True)
        events = []
        for event in stream:
            events.append(event)
            if event.type == "response.output_text.delta":
                break
        doomed.die()
        failed = self.recover_until(client, worker, events[0].response.id, "completed", "failed")  # type: ignore[union-attr]
        assert failed.status == "failed"
        assert failed.error is not None
        assert "worker was lost" in failed.error.message
        events += list(stream)
        assert events[-1].type == "response.failed"
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert backend.calls()["chat"] == 1

    def test_a_stream_that_has_said_nothing_is_begun_again_without_a_trace(
        self, client: openai.OpenAI, doomed: Worker, worker: Worker, backend: FakeBackend
    ) -> None:
        backend.script(delay_ms=60_000)
        stream = client.responses.create(model="m", input="hi", background=True, stream=True)
        response_id = next(event for event in stream if event.type == "response.created").response.id
        backend.wait_for(chat=1)
        doomed.die()
        backend.script(pieces=["Hel", "lo"])
        self.recover_until(client, worker, response_id, "completed", "failed")
        again = list(client.responses.retrieve(response_id, stream=True))
        assert kinds([(event.sequence_number, event.type) for event in again]) == WHOLE

    def test_after_so_many_tries_it_is_given_up(
        self, client: openai.OpenAI, doomed: Worker, router_config: RouterConfig, backend: FakeBackend
    ) -> None:
        backend.script(times=None, delay_ms=60_000)
        queued = client.responses.create(model="m", input="hi", background=True)
        backend.wait_for(chat=1)
        doomed.die()
        dead = []
        for tries in (2, 3):
            another = Worker(router_config)
            dead.append(another)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while backend.calls()["chat"] < tries:
                assert time.monotonic() < deadline
                another.recover(later_seconds=10)
                time.sleep(0.2)
            another.die()
        last = Worker(router_config)
        failed = self.recover_until(client, last, queued.id, "failed")
        assert failed.error is not None
        assert "tried too often" in failed.error.message
        for each in (*dead, last):
            each.stop()

    def test_one_that_only_seemed_dead_changes_nothing_any_more(
        self, client: openai.OpenAI, doomed: Worker, worker: Worker, backend: FakeBackend
    ) -> None:
        backend.script(tokens=9, tokens_per_second=3)
        queued = client.responses.create(model="m", input="What is 2+2?", background=True)
        wait_for(client, queued.id, "in_progress")
        doomed.die()
        self.recover_until(client, worker, queued.id, "completed")
        doomed.resume()
        time.sleep(1)
        assert client.responses.retrieve(queued.id).output_text == "2+2 is 4."
