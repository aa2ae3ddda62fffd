"""A backend that speaks the Responses API itself: here another gateway, with a chat backend behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from responses_api.config.schema import BackendConfig, RedisConfig, ResponseApiConfig, RouterConfig
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway


@pytest.fixture
def upstream(backend: FakeBackend, settings: Any) -> Iterator[Gateway]:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    gateway = Gateway(RouterConfig(backends=(BackendConfig("fake", backend.base_url),)))
    yield gateway
    gateway.stop()


@pytest.fixture
def router_config(redis_config: RedisConfig, upstream: Gateway) -> RouterConfig:
    return RouterConfig(
        response_api=ResponseApiConfig(store_backend="redis", ttl_seconds=3600, redis=redis_config),
        backends=(BackendConfig("upstream", upstream.base_url, api="responses"),),
    )


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client:
        yield client


def test_state_and_ids_are_the_gateways(client: openai.OpenAI, upstream: Gateway, backend: FakeBackend) -> None:
    first = client.responses.create(model="m", input="My name is Ada.", metadata={"a": "b"})
    second = client.responses.create(model="m", input="What is my name?", previous_response_id=first.id)
    assert second.output_text == "Your name is Ada."
    assert second.previous_response_id == first.id
    assert first.metadata == {"a": "b"}
    digits = second.id.removeprefix("resp_")
    assert second.output[0].id is not None
    assert second.output[0].id.startswith(f"msg_{digits}")
    assert client.responses.retrieve(second.id).output == second.output
    # The backend keeps nothing.
    with pytest.raises(openai.NotFoundError):
        openai.OpenAI(base_url=upstream.base_url, api_key="unused").responses.retrieve(first.id)


def test_a_stream_is_passed_on_under_our_ids(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(reasoning="Hm.", pieces=["Hel", "lo"])
    events = list(client.responses.create(model="m", input="hi", stream=True))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(16))
    response = events[-1].response  # type: ignore[union-attr]
    added = [event.item.id for event in events if event.type == "response.output_item.added"]
    assert added == [item.id for item in response.output]
    assert {event.item_id for event in events if hasattr(event, "item_id")} == set(added)
    assert client.responses.retrieve(response.id).output_text == "Hello"


def test_tools_and_their_outputs_go_through(client: openai.OpenAI, backend: FakeBackend) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    backend.script(tool_calls=[{"name": "weather", "arguments": "{}", "id": "call_1"}])
    first = client.responses.create(model="m", input="Weather?", tools=[tool])
    assert [item.type for item in first.output] == ["function_call"]
    output: Any = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    second = client.responses.create(model="m", input=[output], tools=[tool], previous_response_id=first.id)
    assert second.status == "completed"
    assert [message["role"] for message in backend.bodies()[-1]["messages"]] == ["user", "assistant", "tool"]


def test_failures_keep_their_words(client: openai.OpenAI, backend: FakeBackend) -> None:
    hosted: Any = {"type": "web_search"}
    with pytest.raises(openai.BadRequestError, match="Tool type 'web_search' is not supported by the backend"):
        client.responses.create(model="m", input="hi", tools=[hosted])
    backend.script(tokens=5, cut_after=3)
    events = list(client.responses.create(model="m", input="hi", stream=True))
    assert events[-1].type == "response.failed"
    assert "broke off its answer" in events[-1].response.error.message  # type: ignore[union-attr]
    assert events[-1].response.output[0].content[0].text == "word word "  # type: ignore[union-attr]


def test_an_incomplete_answer_stays_so(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(text="cut", finish_reason="length")
    answer = client.responses.create(model="m", input="hi")
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


class TestHostedTools:
    """Asked of the demo backend's own Responses API."""

    @pytest.fixture
    def router_config(self, redis_config: RedisConfig, backend: FakeBackend) -> RouterConfig:
        return RouterConfig(
            response_api=ResponseApiConfig(store_backend="redis", ttl_seconds=3600, redis=redis_config),
            backends=(BackendConfig("demo", backend.base_url, api="responses"),),
        )

    def test_their_items_and_events_are_passed_on_and_chained(
        self, client: openai.OpenAI, backend: FakeBackend
    ) -> None:
        tools: Any = [{"type": "web_search"}]
        events = list(client.responses.create(model="m", input="Search for tea.", tools=tools, stream=True))
        answer = events[-1].response  # type: ignore[union-attr]
        assert [item.type for item in answer.output] == ["web_search_call", "message"]
        assert answer.output[0].action.query == "Search for tea."
        assert answer.output[1].content[0].annotations[0].url == "https://example.com/demo"
        searching = [event for event in events if event.type.startswith("response.web_search_call")]
        assert [event.type.rpartition(".")[2] for event in searching] == ["in_progress", "searching", "completed"]
        assert {event.item_id for event in searching} == {answer.output[0].id}  # type: ignore[union-attr]
        assert answer.output[0].id.startswith(f"ws_{answer.id.removeprefix('resp_')}")
        assert client.responses.retrieve(answer.id).output == answer.output

        after = client.responses.create(model="m", input="And now?", previous_response_id=answer.id)
        assert after.status == "completed"
        sent = backend.bodies(on="responses")[-1]
        assert [item["type"] for item in sent["input"]] == ["message", "web_search_call", "message", "message"]
        # Of a hosted call the id is required, of a message it would be looked for.
        assert [bool(item.get("id")) for item in sent["input"]] == [False, True, False, False]
        assert sent["store"] is False

    def test_what_the_backend_cannot_do_it_says_itself(self, client: openai.OpenAI) -> None:
        tools: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}]
        with pytest.raises(openai.BadRequestError, match="'code_interpreter' is not supported"):
            client.responses.create(model="m", input="hi", tools=tools)

    def test_thoughts_travel_sealed_by_the_backend(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        first = client.responses.create(model="m", input="hi", reasoning={"effort": "high"})
        client.responses.create(model="m", input="and?", previous_response_id=first.id)
        thought = next(item for item in backend.bodies(on="responses")[-1]["input"] if item["type"] == "reasoning")
        assert thought["encrypted_content"]
