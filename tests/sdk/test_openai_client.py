"""The official `openai` client is the judge: what it can do against OpenAI, it can do here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.fake_backend import FakeBackend
from tests.gateway import Gateway

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client:
        yield client


def test_create_retrieve_list_and_delete(client: openai.OpenAI) -> None:
    response = client.responses.create(model="demo", input="What is 2+2?", instructions="Be brief.")
    assert response.output_text == "2+2 is 4."
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.total_tokens > 0
    assert response._request_id is not None
    again = client.responses.retrieve(response.id)
    assert again.output_text == response.output_text
    assert again.to_dict() == response.to_dict()
    items = list(client.responses.input_items.list(response.id, limit=1, order="asc"))
    assert [item.role for item in items] == ["system", "user"]  # type: ignore[union-attr]
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.retrieve(response.id)


def test_a_conversation_by_previous_response_id(client: openai.OpenAI) -> None:
    first = client.responses.create(model="demo", input="My name is Ada.")
    second = client.responses.create(model="demo", input="What is my name?", previous_response_id=first.id)
    assert "Ada" in second.output_text


def test_stream_events(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="demo", input="What is 2+2?", stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == "2+2 is 4."


def test_stream_helper_and_a_follow_up_right_behind_it(client: openai.OpenAI) -> None:
    for _ in range(10):
        with client.responses.stream(model="demo", input="My name is Ada.") as stream:
            for event in stream:
                if event.type == "response.completed":
                    follow_up = client.responses.create(
                        model="demo", input="What is my name?", previous_response_id=event.response.id
                    )
                    assert "Ada" in follow_up.output_text
            assert stream.get_final_response().status == "completed"


class Person(BaseModel):
    name: str
    age: int


def test_parse(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model="demo", input="Ada is 36.", text_format=Person)
    assert isinstance(parsed.output_parsed, Person)


def test_parse_in_a_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(model="demo", input="Ada is 36.", text_format=Person) as stream:
        final = stream.get_final_response()
    assert isinstance(final.output_parsed, Person)


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_round_trip(client: openai.OpenAI, streamed: bool) -> None:
    question = "What is the weather in Rome? Use the weather tool."
    if streamed:
        with client.responses.stream(model="demo", input=question, tools=[WEATHER]) as stream:
            response: Any = stream.get_final_response()
    else:
        response = client.responses.create(model="demo", input=question, tools=[WEATHER])
    calls = [item for item in response.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["weather"]
    outputs: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 30 degrees"} for call in calls
    ]
    answer = client.responses.create(model="demo", input=outputs, tools=[WEATHER], previous_response_id=response.id)
    assert "sunny" in answer.output_text


def test_a_conversation_by_resending_its_items(client: openai.OpenAI) -> None:
    """The stateless way: the client sends back the output items it got, ids and all."""
    history: Any = [{"role": "user", "content": "What is the weather in Rome? Use the weather tool."}]
    first = client.responses.create(model="demo", input=history, tools=[WEATHER], store=False)
    history += [item.to_dict() for item in first.output]
    history += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
        for item in first.output
        if item.type == "function_call"
    ]
    second = client.responses.create(model="demo", input=history, tools=[WEATHER], store=False)
    assert "sunny" in second.output_text


def test_reasoning_images_and_logprobs(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model="demo",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What do you see?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
                ],
            }
        ],
        reasoning={"effort": "low"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert "1 image" in response.output_text
    part: Any = response.output[1].content[0]  # type: ignore[union-attr, index]
    assert len(part.logprobs[0].top_logprobs) == 2


def test_errors_are_the_clients_own(client: openai.OpenAI, backend: FakeBackend) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        client.responses.create(model="demo", input="hi", temperature=9)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as unknown:
        client.responses.create(model="demo", input="hi", previous_response_id="resp_unknown")
    assert unknown.value.code == "previous_response_not_found"
    backend.script(status=429, headers={"retry-after": "1"})
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="demo", input="hi")
    backend.script(status=500)
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model="demo", input="hi")


def test_a_failure_in_mid_stream_reaches_the_client(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(pieces=["a", "b", "c"], cut_after=2)
    events = list(client.responses.create(model="demo", input="hi", stream=True))
    assert events[-1].type == "response.failed"


def test_models(client: openai.OpenAI) -> None:
    assert "demo" in [model.id for model in client.models.list()]


async def test_the_async_client(gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="unused") as client:
        stream = await client.responses.create(model="demo", input="What is 2+2?", stream=True)
        events = [event.type async for event in stream]
    assert events[-1] == "response.completed"
