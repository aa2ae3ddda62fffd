"""What the demo backend has beside chat, judged by the official client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.fake_backend import FakeBackend

SEARCH: Any = {"type": "web_search"}


@pytest.fixture
def client(backend: FakeBackend) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=backend.base_url, api_key="none", max_retries=0, timeout=5) as made:
        yield made


def test_a_response(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="demo", input="What is 2+2?", reasoning={"effort": "low"})
    assert answer.output_text == "2+2 is 4."
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.usage is not None
    assert answer.usage.input_tokens == 3


def test_a_streamed_response_says_the_same(client: openai.OpenAI) -> None:
    asked: Any = {"model": "demo", "input": "Search for tea.", "tools": [SEARCH], "reasoning": {"effort": "low"}}
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        kinds = [event.type.removeprefix("response.") for event in stream]
        streamed = stream.get_final_response()
    assert [item.type for item in streamed.output] == ["reasoning", "web_search_call", "message"]
    assert streamed.output_text == whole.output_text
    assert kinds[:2] == ["created", "in_progress"]
    assert [kind for kind in kinds if "search" in kind] == [
        "web_search_call.in_progress",
        "web_search_call.searching",
        "web_search_call.completed",
    ]
    assert "output_text.annotation.added" in kinds
    assert kinds[-1] == "completed"


def test_functions_are_called(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
    answer = client.responses.create(model="demo", input="The weather in Oslo?", tools=[tool])
    assert [(item.type, item.name) for item in answer.output] == [("function_call", "get_weather")]  # type: ignore[union-attr]


def test_it_keeps_nothing_and_cannot_run_code(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="demo", input="hi", previous_response_id="resp_demo1")
    with pytest.raises(openai.BadRequestError, match="'code_interpreter' is not supported"):
        client.responses.create(
            model="demo", input="hi", tools=[{"type": "code_interpreter", "container": {"type": "auto"}}]
        )
    searched: Any = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "tea"}}
    with pytest.raises(openai.BadRequestError, match=r"'input\[\]\.id'"):
        client.responses.create(model="demo", input=[searched, {"role": "user", "content": "hi"}])


def test_embeddings_are_the_same_each_time(client: openai.OpenAI) -> None:
    tea, coffee, again = client.embeddings.create(model="demo", input=["tea", "coffee", "tea"], dimensions=8).data
    assert tea.embedding == again.embedding != coffee.embedding
    assert len(tea.embedding) == 8
    assert sum(value * value for value in tea.embedding) == pytest.approx(1)
    floats = client.embeddings.create(model="demo", input="tea", dimensions=8, encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(tea.embedding)


def test_completions(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="demo", prompt="Once upon a time")
    assert whole.choices[0].text == " Once upon a time"
    chunks = client.completions.create(model="demo", prompt="Once upon a time", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == " Once upon a time"


def test_the_context_is_as_long_as_it_is_told(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(times=None, on="tokenize", context_tokens=5)
    counted = httpx.post(
        f"http://{backend.address}/tokenize", json={"messages": [{"role": "user", "content": "one two three"}]}
    ).json()
    assert counted == {"count": 3, "max_model_len": 5, "tokens": [3, 3, 5]}
    backend.script(times=2, context_tokens=5)
    assert client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "a b c d e"}])
    with pytest.raises(openai.BadRequestError, match="maximum context length is 5 tokens") as refused:
        client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "a b c d e f"}])
    assert refused.value.code == "context_length_exceeded"
