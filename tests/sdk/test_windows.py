"""Long conversations: compaction, truncation, counting; and thoughts that travel sealed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.fake_backend import FakeBackend
from tests.gateway import Gateway

SUMMARY = "The user is called Ada and likes tea."
TOO_LONG = {
    "code": "context_length_exceeded",
    "type": "invalid_request_error",
    "message": "This model's maximum context length is 100 tokens. However, you requested 200 tokens. Shorten it.",
}


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client:
        yield client


def say(text: str, role: str = "user") -> Any:
    return {"type": "message", "role": role, "content": text}


def contents(backend: FakeBackend) -> list[Any]:
    return [message["content"] for message in backend.bodies()[-1]["messages"]]


class TestCompaction:
    def test_the_window_is_the_users_messages_and_one_sealed_item(
        self, client: openai.OpenAI, backend: FakeBackend
    ) -> None:
        backend.script(text=SUMMARY)
        items = [say("My name is Ada."), say("Hello Ada.", "assistant"), say("I like tea.")]
        window = client.responses.compact(model="m", input=items, instructions="Be brief.")
        assert window.object == "response.compaction"
        assert [item.type for item in window.output] == ["message", "message", "compaction"]
        assert window.usage.total_tokens > 0
        sealed = window.output[-1].encrypted_content  # type: ignore[union-attr]
        assert "Ada" not in sealed
        asked = backend.bodies()[-1]["messages"]
        assert asked[0]["content"].startswith("Be brief.")
        assert "Summarise the conversation" in asked[-1]["content"]
        # As it is, it begins the next window.
        output = [item.model_dump(exclude_unset=True, warnings=False) for item in window.output]
        answer = client.responses.create(model="m", input=[*output, say("What is my name?")])
        assert contents(backend)[:2] == ["My name is Ada.", "I like tea."]
        assert contents(backend)[2].endswith(SUMMARY)
        # And lives on in the chain.
        client.responses.create(model="m", input="And what do I like?", previous_response_id=answer.id)
        assert any(content.endswith(SUMMARY) for content in contents(backend))
        with pytest.raises(openai.BadRequestError, match="not found"):
            client.responses.create(model="m", input="?", previous_response_id=window.id)

    def test_a_stored_response_is_compacted_by_its_id(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        first = client.responses.create(model="m", input="My name is Ada.")
        backend.script(text=SUMMARY)
        window = client.responses.compact(model="m", previous_response_id=first.id)
        assert [item.type for item in window.output] == ["message", "compaction"]

    @pytest.mark.parametrize("place", [4, 10, 30, -2, -1])
    def test_a_changed_item_is_refused(self, client: openai.OpenAI, place: int) -> None:
        sealed = client.responses.compact(model="m", input="My name is Ada.").output[-1].encrypted_content  # type: ignore[union-attr]
        changed = list(sealed)
        changed[place] = "A" if changed[place] != "A" else "B"
        item: Any = {"type": "compaction", "encrypted_content": "".join(changed)}
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model="m", input=[item, say("hi")])
        assert refused.value.code == "invalid_encrypted_content"

    def test_the_server_compacts_past_a_threshold(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        management: Any = [{"type": "compaction", "compact_threshold": 1000}]
        first = client.responses.create(model="m", input="My name is Ada. " + "x" * 5000)
        backend.script(text=SUMMARY)
        with client.responses.stream(
            model="m",
            input="What is my name?",
            previous_response_id=first.id,
            extra_body={"context_management": management},
        ) as stream:
            events = list(stream)
        assert [event.type.removeprefix("response.") for event in events][:5] == [
            "created",
            "in_progress",
            "output_item.added",
            "output_item.done",
            "output_item.added",
        ]
        second = stream.get_final_response()
        assert [item.type for item in second.output] == ["compaction", "message"]
        assert second.usage is not None
        summary, question = contents(backend)
        assert summary.endswith(SUMMARY)
        assert question == "What is my name?"
        # The chain goes on from the compaction: what it covers is not sent again.
        client.responses.create(model="m", input="And again?", previous_response_id=second.id)
        assert len(contents(backend)) == 4
        assert contents(backend)[0].endswith(SUMMARY)
        assert contents(backend)[1] == "What is my name?"

    def test_below_the_threshold_nothing_is_compacted(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        management: Any = [{"type": "compaction", "compact_threshold": 1000}]
        answer = client.responses.create(model="m", input="hi", extra_body={"context_management": management})
        assert [item.type for item in answer.output] == ["message"]
        assert backend.calls()["chat"] == 1


class TestTruncation:
    def test_the_oldest_turns_go_until_it_fits(
        self, client: openai.OpenAI, http: httpx.Client, backend: FakeBackend
    ) -> None:
        turns = [say("Always rhyme.", "system")]
        turns += [each for n in range(8) for each in (say(f"{n} " + "x" * 100), say("ok " * 30, "assistant"))]
        backend.script(status=400, error=TOO_LONG)
        answer = http.post(
            "/responses", json={"model": "m", "input": [*turns, say("last")], "truncation": "auto", "stream": True}
        )
        assert answer.headers["x-router-truncated-items"] == "10"
        kept = contents(backend)
        assert kept[0] == "Always rhyme."
        assert kept[1].startswith("5 ")
        assert kept[-1] == "last"
        assert backend.calls()["chat"] == 2
        backend.script(status=400, error=TOO_LONG)
        made = client.responses.create(model="m", input=[*turns, say("last")], truncation="auto")
        assert made.truncated_items == 10  # type: ignore[attr-defined]

    def test_it_fits_a_backend_that_counts(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        backend.script(times=None, context_tokens=60)
        turns = [each for n in range(8) for each in (say(f"{n} " + "word " * 10), say("ok " * 10, "assistant"))]
        answer = client.responses.create(model="m", input=[*turns, say("last")], truncation="auto")
        assert answer.status == "completed"
        sent = sum(len(content.split()) for content in contents(backend))
        assert 40 < sent <= 60
        assert backend.calls()["chat"] == 2

    def test_without_it_the_refusal_is_passed_on(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        backend.script(status=400, error=TOO_LONG)
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model="m", input=[say("a"), say("b")])
        assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "input")

    def test_the_newest_turn_is_never_dropped(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        backend.script(times=None, status=400, error=TOO_LONG)
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(model="m", input=[say("a"), say("b")], truncation="auto")
        assert refused.value.code == "context_length_exceeded"
        assert contents(backend) == ["b"]


class TestSealedReasoning:
    def test_it_makes_the_round_trip_without_a_store(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        backend.script(reasoning="Two and two.", text="4")
        answer = client.responses.create(model="m", input="2+2?", store=False, include=["reasoning.encrypted_content"])
        thought = answer.output[0]
        assert thought.type == "reasoning"
        assert thought.encrypted_content
        sealed: Any = {"type": "reasoning", "summary": [], "encrypted_content": thought.encrypted_content}
        client.responses.create(
            model="m", input=[say("2+2?"), sealed, say("4", "assistant"), say("Sure?")], store=False
        )
        assistant = backend.bodies()[-1]["messages"][1]
        assert assistant == {"role": "assistant", "content": "4", "reasoning_content": "Two and two."}

    def test_a_stream_carries_it_when_the_thought_is_whole(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        backend.script(reasoning="Two and two.", text="4")
        events = list(
            client.responses.create(model="m", input="2+2?", stream=True, include=["reasoning.encrypted_content"])
        )
        items = [event.item for event in events if event.type.startswith("response.output_item")]
        assert items[0].encrypted_content is None  # type: ignore[union-attr]
        assert items[1].encrypted_content == events[-1].response.output[0].encrypted_content  # type: ignore[union-attr]

    def test_unasked_for_nothing_is_sealed(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        backend.script(reasoning="Two and two.", text="4")
        assert client.responses.create(model="m", input="2+2?").output[0].encrypted_content is None  # type: ignore[union-attr]

    def test_a_stranger_is_refused(self, client: openai.OpenAI) -> None:
        foreign: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABo"}
        with pytest.raises(openai.BadRequestError, match="could not be verified"):
            client.responses.create(model="m", input=[say("hi"), foreign, say("hi")])


class TestInputTokens:
    def test_the_backends_tokenizer_counts(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        tool: Any = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
        counted = client.responses.input_tokens.count(model="m", input="one two three", instructions="Be brief.")
        assert counted.input_tokens == 5
        assert counted.estimated is False  # type: ignore[attr-defined]
        assert client.responses.input_tokens.count(model="m", input="one two three", tools=[tool]).input_tokens > 3
        assert backend.bodies(on="tokenize")[0]["model"] == "m"

    def test_an_estimate_says_so(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        backend.script(times=None, on="tokenize", status=404)
        counted = client.responses.input_tokens.count(model="m", input="x" * 4000)
        assert counted.object == "response.input_tokens"
        assert 1000 <= counted.input_tokens <= 1050
        assert counted.estimated is True  # type: ignore[attr-defined]
        client.responses.input_tokens.count(model="m", input="again")
        assert backend.calls()["tokenize"] == 1

    def test_a_tokenizer_that_fails_is_estimated_too(self, client: openai.OpenAI, backend: FakeBackend) -> None:
        for body in ("nonsense", {"count": None}, []):
            backend.script(on="tokenize", body=body)
            assert client.responses.input_tokens.count(model="m", input="hi").estimated is True  # type: ignore[attr-defined]

    def test_the_history_counts(self, client: openai.OpenAI) -> None:
        first = client.responses.create(model="m", input="word " * 2000)
        alone = client.responses.input_tokens.count(model="m", input="hi")
        whole = client.responses.input_tokens.count(model="m", input="hi", previous_response_id=first.id)
        assert whole.input_tokens > alone.input_tokens + 1000
