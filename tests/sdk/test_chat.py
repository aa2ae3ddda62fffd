"""The other APIs behind the same base URL, by the official client."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.fake_backend import FakeBackend
from tests.gateway import Gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client:
        yield client


def test_a_chat_completion(client: openai.OpenAI, backend: FakeBackend) -> None:
    answer = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "What is 2+2?"}], extra_body={"top_k": 7}
    )
    assert answer.choices[0].message.content == "2+2 is 4."
    (body,) = backend.bodies()
    assert body["top_k"] == 7


def test_a_streamed_chat_completion_is_what_the_backend_said(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(pieces=["Hel", "lo"])
    chunks = list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    # The gateway asked for the usage; its client had not.
    assert backend.bodies()[0]["stream_options"] == {"include_usage": True}
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_that_was_asked_for_is_passed_on(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].usage is not None


def test_a_refusal_keeps_its_words(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(status=429, error={"message": "Slow down."}, headers={"retry-after": "7"})
    with pytest.raises(openai.RateLimitError, match=r"Slow down\.") as refused:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert refused.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.BadRequestError, match="Missing required parameter: 'model'"):
        client.chat.completions.create(model="", messages=[])


def test_a_stream_that_breaks_says_so(client: openai.OpenAI, backend: FakeBackend) -> None:
    backend.script(tokens=5, cut_after=3)
    stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
    with pytest.raises(openai.APIError, match="broke off its answer"):
        list(stream)


def test_embeddings(client: openai.OpenAI, backend: FakeBackend) -> None:
    made = client.embeddings.create(model="m", input=["tea", "coffee"], dimensions=8)
    assert [len(each.embedding) for each in made.data] == [8, 8]
    assert backend.bodies(on="embeddings")[0]["input"] == ["tea", "coffee"]


def test_completions(client: openai.OpenAI) -> None:
    assert client.completions.create(model="m", prompt="Once upon a time").choices[0].text == " Once upon a time"
    chunks = client.completions.create(model="m", prompt="Once upon a time", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == " Once upon a time"
