"""The official client's `conversations`, and responses made in them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tests.fake_backend import FakeBackend
from tests.gateway import Gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client:
        yield client


def say(text: str) -> dict[str, str]:
    return {"type": "message", "role": "user", "content": text}


def texts(client: openai.OpenAI, conversation_id: str) -> list[str]:
    items = client.conversations.items.list(conversation_id, order="asc", limit=2)
    return [item.content[0].text for item in items]  # type: ignore[union-attr]


def test_create_retrieve_update_delete(client: openai.OpenAI) -> None:
    made = client.conversations.create(metadata={"topic": "demo"}, items=[say("Hello!")])  # type: ignore[list-item]
    assert made.id.startswith("conv_")
    assert made.metadata == {"topic": "demo"}
    assert client.conversations.retrieve(made.id) == made
    assert client.conversations.update(made.id, metadata={"topic": "other"}).metadata == {"topic": "other"}
    deleted = client.conversations.delete(made.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "conversation.deleted", True)
    with pytest.raises(openai.NotFoundError, match=f"Conversation with id '{made.id}' not found"):
        client.conversations.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.list(made.id)


def test_an_empty_conversation_needs_no_body(client: openai.OpenAI) -> None:
    assert client.conversations.create().metadata == {}


def test_items_are_added_listed_paged_and_removed(client: openai.OpenAI) -> None:
    made = client.conversations.create()
    added = client.conversations.items.create(made.id, items=[say(str(n)) for n in range(5)])  # type: ignore[misc]
    assert [item.content[0].text for item in added.data] == ["0", "1", "2", "3", "4"]  # type: ignore[union-attr]
    assert texts(client, made.id) == ["0", "1", "2", "3", "4"]
    newest = client.conversations.items.list(made.id, limit=2)
    assert [item.id for item in newest.data] == [added.data[4].id, added.data[3].id]
    assert newest.has_more
    one = client.conversations.items.retrieve(added.data[2].id, conversation_id=made.id)  # type: ignore[arg-type]
    assert one == added.data[2]
    assert client.conversations.items.delete(one.id, conversation_id=made.id).id == made.id  # type: ignore[arg-type]
    assert texts(client, made.id) == ["0", "1", "3", "4"]
    with pytest.raises(openai.NotFoundError, match="not found in conversation"):
        client.conversations.items.retrieve(one.id, conversation_id=made.id)  # type: ignore[arg-type]


def test_more_than_twenty_items_a_call_are_refused(client: openai.OpenAI) -> None:
    items = [say(str(n)) for n in range(21)]
    with pytest.raises(openai.BadRequestError) as refused:
        client.conversations.create(items=items)  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.param) == ("array_above_max_length", "items")


def test_responses_read_and_extend_a_conversation(client: openai.OpenAI, backend: FakeBackend) -> None:
    made = client.conversations.create(items=[say("My name is Ada.")])  # type: ignore[list-item]
    answer = client.responses.create(model="m", input="What is my name?", conversation=made.id)
    assert answer.output_text == "Your name is Ada."
    assert answer.conversation is not None
    assert answer.conversation.id == made.id
    assert texts(client, made.id) == ["My name is Ada.", "What is my name?", "Your name is Ada."]
    with client.responses.stream(model="m", input="And again?", conversation=made.id) as stream:
        stream.until_done()
    assert len(texts(client, made.id)) == 5
    assert [message["content"] for message in backend.bodies()[-1]["messages"]][:2] == [
        "My name is Ada.",
        "What is my name?",
    ]
    # What was said in a conversation can be gone on with outside it.
    other = client.responses.create(model="m", input="Thanks.", previous_response_id=answer.id)
    assert other.conversation is None
    assert len(texts(client, made.id)) == 5


def test_without_storing_a_conversation_is_read_and_not_extended(client: openai.OpenAI) -> None:
    made = client.conversations.create(items=[say("My name is Ada.")])  # type: ignore[list-item]
    answer = client.responses.create(model="m", input="What is my name?", conversation=made.id, store=False)
    assert answer.output_text == "Your name is Ada."
    assert texts(client, made.id) == ["My name is Ada."]


def test_of_two_concurrent_writers_one_is_told_that_it_is_locked(client: openai.OpenAI, backend: FakeBackend) -> None:
    made = client.conversations.create()
    backend.script(times=None, delay_ms=300)

    def create(_: int) -> str:
        try:
            return client.responses.create(model="m", input="hi", conversation=made.id).status or ""
        except openai.BadRequestError as error:
            return str(error.code)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(create, range(2))) == ["completed", "conversation_locked"]
    assert len(texts(client, made.id)) == 2
    backend.reset()
    # The lock went with its writer.
    assert client.responses.create(model="m", input="hi", conversation=made.id).status == "completed"


def test_a_failed_response_adds_nothing_and_leaves_no_lock(client: openai.OpenAI, backend: FakeBackend) -> None:
    made = client.conversations.create()
    backend.script(status=500)
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model="m", input="hi", conversation=made.id)
    assert texts(client, made.id) == []
    assert client.responses.create(model="m", input="hi", conversation=made.id).status == "completed"


def test_an_unknown_conversation_is_a_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Conversation with id 'conv_nowhere' not found"):
        client.responses.create(model="m", input="hi", conversation="conv_nowhere")


def test_a_conversation_and_a_previous_response_exclude_each_other(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="m", input="hi", conversation="conv_a", previous_response_id="resp_b")
    assert refused.value.code == "mutually_exclusive_parameters"


def test_an_item_reference_stands_for_the_item(client: openai.OpenAI, backend: FakeBackend) -> None:
    first = client.responses.create(model="m", input="My name is Ada.")
    said = client.responses.input_items.list(first.id).data[0]
    made = client.conversations.create(items=[say("I like tea.")])  # type: ignore[list-item]
    tea = client.conversations.items.list(made.id).data[0]
    references = [{"type": "item_reference", "id": said.id}, {"id": first.output[0].id}, {"id": tea.id}]
    client.responses.create(model="m", input=[*references, say("What is my name?")])  # type: ignore[list-item]
    assert [message["content"] for message in backend.bodies()[-1]["messages"]] == [
        "My name is Ada.",
        first.output_text,
        "I like tea.",
        "What is my name?",
    ]
    with pytest.raises(openai.NotFoundError, match="Items are not persisted when `store` is set to false"):
        client.responses.create(model="m", input=[{"type": "item_reference", "id": "msg_nowhere"}])
