"""Every method of the official Python client's `responses` and `conversations`, against what `./run` starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("clients")]

MODEL = "demo"
Step = Callable[[openai.OpenAI], None]
_steps: dict[str, Step] = {}


class Place(pydantic.BaseModel):
    city: str


def exercises(*methods: str) -> Callable[[Step], Step]:
    def register(step: Step) -> Step:
        _steps.update(dict.fromkeys(methods, step))
        return step

    return register


@exercises("responses.create", "responses.retrieve", "responses.delete", "responses.input_items.list")
def state(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="My name is Ada.", instructions="Be kind.")
    second = client.responses.create(model=MODEL, input="What is my name?", previous_response_id=first.id)
    assert second.output_text == "Your name is Ada."
    assert client.responses.retrieve(first.id, include=["message.output_text.logprobs"]).output == first.output
    assert [item.role for item in client.responses.input_items.list(first.id)] == ["user", "system"]  # type: ignore[union-attr]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


@exercises("responses.stream", "responses.parse")
def streams_and_parsing(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="I live in Rome", text_format=Place) as stream:
        kinds = [event.type for event in stream]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert stream.get_final_response().output_parsed == Place(city="Rome")
    assert client.responses.parse(model=MODEL, input="I live in Rome", text_format=Place).output_parsed is not None


@exercises("responses.cancel")
def background(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="What is 2+2?", background=True)
    assert response.status == "queued"
    deadline = time.monotonic() + 20
    while response.status in ("queued", "in_progress"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        response = client.responses.retrieve(response.id)
    assert response.output_text == "2+2 is 4."
    slow: Any = {"demo_script": {"tokens": 500, "tokens_per_second": 20}}
    seen = []
    with client.responses.create(model=MODEL, input="hi", background=True, stream=True, extra_body=slow) as stream:
        for event in stream:
            seen.append(event)
            if len(seen) == 10:
                break
    response_id = seen[0].response.id  # type: ignore[union-attr]
    rest = client.responses.retrieve(response_id, stream=True, starting_after=9)
    assert next(iter(rest)).sequence_number == 10
    assert client.responses.cancel(response_id).status == "cancelled"
    assert list(rest)[-1].type == "response.failed"


@exercises("responses.compact", "responses.input_tokens.count")
def windows(client: openai.OpenAI) -> None:
    window = client.responses.compact(model=MODEL, input="My name is Ada.")
    assert window.output[-1].type == "compaction"
    assert client.responses.input_tokens.count(model=MODEL, input="hi").input_tokens > 0


@exercises("responses.connect")
def socket(client: openai.OpenAI) -> None:
    with client.responses.connect() as connection:
        connection.response.create(model=MODEL, input="My name is Ada.", store=False)
        first = next(event.response for event in connection if event.type == "response.completed")
        connection.response.create(model=MODEL, input="What is my name?", store=False, previous_response_id=first.id)
        second = next(event.response for event in connection if event.type == "response.completed")
    assert second.output_text == "Your name is Ada."


@exercises(
    "conversations.create",
    "conversations.retrieve",
    "conversations.update",
    "conversations.delete",
    "conversations.items.create",
    "conversations.items.retrieve",
    "conversations.items.list",
    "conversations.items.delete",
)
def conversations(client: openai.OpenAI) -> None:
    made = client.conversations.create(metadata={"a": "b"})
    message: Any = {"type": "message", "role": "user", "content": "My name is Ada."}
    (item,) = client.conversations.items.create(made.id, items=[message]).data
    answer = client.responses.create(model=MODEL, input="What is my name?", conversation=made.id)
    assert answer.output_text == "Your name is Ada."
    assert len(list(client.conversations.items.list(made.id, limit=2))) == 3
    assert item.id is not None
    assert client.conversations.items.retrieve(item.id, conversation_id=made.id) == item
    client.conversations.items.delete(item.id, conversation_id=made.id)
    assert client.conversations.update(made.id, metadata={"c": "d"}).metadata == {"c": "d"}
    assert client.conversations.retrieve(made.id).metadata == {"c": "d"}
    assert client.conversations.delete(made.id).deleted


def methods_of(resource: Any, name: str) -> set[str]:
    """The public methods of a resource of the client and of those beneath it."""
    found: set[str] = set()
    for each in dir(resource):
        member = getattr(resource, each) if not each.startswith(("_", "with_")) else None
        if callable(member):
            found.add(f"{name}.{each}")
        elif member is not None:
            found |= methods_of(member, f"{name}.{each}")
    return found


def test_no_method_is_left_out() -> None:
    client = openai.OpenAI(api_key="unused")
    there_are = methods_of(client.responses, "responses") | methods_of(client.conversations, "conversations")
    assert set(_steps) == there_are


# What the client does on its own account.
@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
@pytest.mark.parametrize("step", dict.fromkeys(_steps.values()), ids=lambda step: step.__name__)
def test_it_works(step: Step, base_url: str) -> None:
    with openai.OpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        step(client)
