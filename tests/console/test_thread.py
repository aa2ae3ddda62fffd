"""Items as a reader sees them; masked, nothing of what was said is there at all."""

from __future__ import annotations

from typing import Any

import pytest

from cache_admin.thread import MAX_SHOWN_CHARS, Thread, of_exchange

PIXELS = "data:image/png;base64,AAAA"
ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "secret"},
    {"role": "user", "content": [{"type": "text", "text": "secret"}, {"type": "input_image", "image_url": PIXELS}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "secret"}]},
    {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"what": "secret"}'},
    {"type": "function_call_output", "call_id": "c", "output": "secret"},
    {"type": "custom_tool_call", "call_id": "d", "name": "run", "input": "secret"},
    {"type": "custom_tool_call_output", "call_id": "elsewhere", "output": [{"type": "input_text", "text": "secret"}]},
    {"type": "web_search_call", "id": "ws_1", "action": {"query": "secret"}},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "secret"}, {"type": "unheard_of", "x": "secret"}]},
    {"role": "user", "content": [{"type": "input_file", "filename": "secret.pdf"}, "secret", 7]},
]  # fmt: skip


def test_masked_there_is_nothing_to_read() -> None:
    thread = of_exchange("secret", ITEMS, ITEMS, is_masked=True)
    texts = [text for piece in thread.pieces for text in (*piece.texts, *piece.outputs)]
    assert {text.shown for text in texts} == {""}
    assert all(text.length > 0 for text in texts)
    assert [image for piece in thread.pieces for image in piece.images] == []
    assert len(texts) > 2 * len(ITEMS)


def test_unmasked_everything_is_there() -> None:
    thread = Thread().add(ITEMS, is_input=True)
    texts = [text for piece in thread.pieces for text in (*piece.texts, *piece.outputs)]
    assert sum("secret" in text.shown for text in texts) == len(texts) - 1
    assert [piece.images for piece in thread.pieces if piece.images] == [[PIXELS]]
    calls = {piece.who: piece for piece in thread.pieces if piece.kind == "call"}
    assert not calls["look"].is_awaiting
    assert calls["run"].is_awaiting
    assert [text.shown for text in calls[""].outputs] == ["secret"]


def test_each_text_has_a_number_that_gives_the_whole() -> None:
    long = "y" * (MAX_SHOWN_CHARS + 1)
    thread = Thread().add([*ITEMS, {"role": "user", "content": long}], is_input=True)
    text = thread.pieces[-1].texts[0]
    assert text.is_cut
    assert thread.whole(text.number) == long
    assert (thread.whole(-1), thread.whole(10_000)) == (None, None)


@pytest.mark.parametrize(
    "url", ["https://h/a.png", "data:image/svg+xml,<svg/>", "javascript:alert(1)", "data:text/html,x"]
)
def test_only_pixels_that_travelled_along_are_shown(url: str) -> None:
    thread = Thread().add([{"role": "user", "content": [{"type": "input_image", "image_url": url}]}], is_input=True)
    assert thread.pieces[0].images == []
    assert thread.pieces[0].texts[0].shown == url


@pytest.mark.parametrize("item", [{}, {"type": None}, {"content": None}, {"type": "message", "content": {"text": "x"}}])
def test_odd_items_are_no_fault(item: dict[str, Any]) -> None:
    assert len(Thread().add([item], is_input=True).pieces) == 1
