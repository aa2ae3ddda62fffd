"""Which turns stay when a conversation is too long."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from responses_api.shapes.items import ItemView, view_stored
from responses_api.translate.truncation import kept_after

VLLM = (
    "This model's maximum context length is {limit} tokens. However, you requested {asked} tokens "
    "({asked} in the messages, 0 in the completion). Please reduce the length of the messages or completion."
)
OPENAI = (
    "This model's maximum context length is {limit} tokens. However, your messages resulted in {asked} tokens. "
    "Please reduce the length of the messages."
)
VLLM_NEW = (
    "This model's maximum context length is {limit} tokens. However, your request has {asked} input tokens. "
    "Please reduce the length of the input messages."
)


def message(role: str, size: int = 100) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": "x" * size}]}


def items(*given: dict[str, Any]) -> list[ItemView]:
    return view_stored(msgspec.json.encode(given))


@pytest.mark.parametrize("words", [VLLM, OPENAI, VLLM_NEW])
def test_as_much_goes_as_must(words: str) -> None:
    turns = items(*(message(role) for _ in range(10) for role in ("user", "assistant")))
    assert kept_after(turns, words.format(limit=1000, asked=1250), 0) == list(range(6, 20))
    assert kept_after(turns, words.format(limit=1000, asked=5000), 0) == list(range(18, 20))


def test_the_answer_needs_its_place_too() -> None:
    turns = items(*(message(role) for _ in range(10) for role in ("user", "assistant")))
    assert len(kept_after(turns, OPENAI.format(limit=1000, asked=1000), 500)) < len(
        kept_after(turns, OPENAI.format(limit=1000, asked=1000), 0)
    )


def test_without_figures_half_goes() -> None:
    turns = items(*(message(role) for _ in range(10) for role in ("user", "assistant")))
    assert kept_after(turns, "Too long.", 0) == list(range(10, 20))


def test_system_messages_stay_and_turns_stay_whole() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "x" * 500}
    turns = items(message("system"), message("user"), call, output, message("developer"), message("user"))
    assert kept_after(turns, "Too long.", 0) == [0, 4, 5]


@pytest.mark.parametrize("given", [[], [message("user")], [message("system"), message("user")]])
def test_there_may_be_nothing_to_drop(given: list[dict[str, Any]]) -> None:
    turns = items(*given)
    assert kept_after(turns, "Too long.", 0) == list(range(len(turns)))
