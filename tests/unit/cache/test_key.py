"""What makes two requests the same question, field by field."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from responses_api.cache.key import IRRELEVANT, NotComparableError, Question, Scope, question_of
from responses_api.shapes.request import KNOWN_FIELDS

SCOPE = Scope("p", None, "m", ["b"])
OTHERS: dict[str, tuple[Any, Any]] = {
    "input": ("a", "b"),
    "instructions": ("a", "b"),
    "include": (["message.output_text.logprobs"], ["reasoning.encrypted_content"]),
    "tools": ([{"type": "function", "name": "a"}], [{"type": "function", "name": "b"}]),
    "tool_choice": ("auto", "none"),
    "parallel_tool_calls": (True, False),
    "max_tool_calls": (1, 2),
    "max_output_tokens": (100, 101),
    "temperature": (0, 0.1),
    "top_p": (1, 0.9),
    "presence_penalty": (0, 1),
    "frequency_penalty": (0, 1),
    "top_logprobs": (0, 1),
    "text": ({"format": {"type": "text"}}, {"format": {"type": "json_object"}}),
    "reasoning": ({"effort": "low"}, {"effort": "high"}),
    "truncation": ("auto", "disabled"),
    "context_management": ([{"type": "compaction"}], [{"type": "compaction", "compact_threshold": 5000}]),
    "prompt_cache_key": ("a", "b"),
    "prompt": ({"id": "a"}, {"id": "b"}),
    "metadata": ({"a": "b"}, {"a": "c"}),
    "user": ("a", "b"),
    "safety_identifier": ("a", "b"),
    "store": (True, False),
    "stream": (True, False),
    "stream_options": ({"include_obfuscation": True}, {"include_obfuscation": False}),
    "service_tier": ("auto", "flex"),
    "background": (True, False),
    "seed": (1, 2),
    "something_new": ({"a": [1]}, {"a": [2]}),
}
"""Field → two values of it. The model is the scope's; ids of what came before count by what they stand for."""


def ask(fields: dict[str, Any], scope: Scope = SCOPE, history: list[Any] | None = None) -> Question:
    raw = {name: Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    return question_of("responses", scope, raw, history)


def test_every_field_of_the_schema_is_looked_at() -> None:
    assert set(OTHERS) >= KNOWN_FIELDS - {"model", "previous_response_id", "conversation"}


@pytest.mark.parametrize("field", OTHERS)
def test_a_change_misses_unless_it_cannot_change_the_answer(field: str) -> None:
    base = {"input": "hi"}
    one, two = OTHERS[field]
    changed = ask({**base, field: one}).digest != ask({**base, field: two}).digest
    added = field == "input" or ask({**base, field: one}).digest != ask(base).digest
    assert changed == added == (field not in IRRELEVANT["responses"])


@pytest.mark.parametrize(
    "scope",
    [
        Scope("q", None, "m", ["b"]),
        Scope("p", "n", "m", ["b"]),
        Scope("p", None, "n", ["b"]),
        Scope("p", None, "m", ["c"]),
        Scope("p", None, "m", ["b", "c"]),
        Scope("p", None, None, ["b"]),
        Scope("p", None, "m", None),
    ],
)
def test_scopes_do_not_share(scope: Scope) -> None:
    assert ask({"input": "hi"}, scope).digest != ask({"input": "hi"}).digest


def test_nothing_runs_into_its_neighbour() -> None:
    assert ask({}, Scope("a", "b:c", "m", [])).digest != ask({}, Scope("a:b", "c", "m", [])).digest
    assert ask({}, Scope("a", None, "m", ["b", "c"])).digest != ask({}, Scope("a", None, "m", ["b,c"])).digest
    assert ask({}, Scope("a", "", "m", [])).digest != ask({}, Scope("a", None, "m", [])).digest


def test_the_apis_do_not_share() -> None:
    fields = {"input": Raw(b'"hi"')}
    assert question_of("chat", SCOPE, fields).digest != question_of("responses", SCOPE, fields).digest


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (b"1", b"1.0"),
        (b"100", b"1e2"),
        (b"0", b"-0.0"),
        (b'"\\u00e9"', '"é"'.encode()),
        (b'{"a":1,"b":2}', b'{ "b" : 2, "a" : 1 }'),
        (b'"a/b"', b'"a\\/b"'),
    ],
)
def test_spelling_does_not_matter(one: bytes, two: bytes) -> None:
    assert question_of("chat", SCOPE, {"x": Raw(one)}) == question_of("chat", SCOPE, {"x": Raw(two)})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (b"1", b"true"),
        (b"1", b'"1"'),
        (b"null", b"0"),
        (b"null", b'""'),
        (b'"a"', b'"A"'),
        (b'"a"', b'"a "'),
        ('"é"'.encode(), '"e\u0301"'.encode()),
        (b"9007199254740993", b"9007199254740992.0"),
        (b"100000000000000000000001", b"100000000000000000000002"),
        (b"[1,[2]]", b"[[1],2]"),
        (b"{}", b"[]"),
        (b'{"a":null}', b"{}"),
    ],
)
def test_meaning_does(one: bytes, two: bytes) -> None:
    assert question_of("chat", SCOPE, {"x": Raw(one)}).digest != question_of("chat", SCOPE, {"x": Raw(two)}).digest


def test_what_has_no_one_spelling_is_not_compared() -> None:
    with pytest.raises(NotComparableError, match="beyond any float"):
        question_of("chat", SCOPE, {"x": Raw(b"1e400")})


def test_ids_of_what_was_said_do_not_matter_and_those_that_mean_something_do() -> None:
    def said(kind: str, identity: str, **rest: Any) -> Question:
        return ask({"input": [{"type": kind, "id": identity, **rest}]})

    for kind in ("message", "reasoning", "function_call", "function_call_output"):
        assert said(kind, "a_1").digest == said(kind, "a_2").digest
    for kind in ("item_reference", "web_search_call", "mcp_call", "something_new"):
        assert said(kind, "a_1").digest != said(kind, "a_2").digest
    call = {"call_id": "c1"}
    assert said("function_call", "a", **call).digest != said("function_call", "a", call_id="c2").digest
    # Deep inside, an id is data.
    deep = [{"type": "message", "role": "user", "content": [{"type": "input_file", "id": n}]} for n in ("a", "b")]
    assert ask({"input": [deep[0]]}).digest != ask({"input": [deep[1]]}).digest


def test_history_counts_by_its_items() -> None:
    item = {"type": "message", "role": "user", "content": "hi"}
    one, two = ({**item, "id": each} for each in ("msg_1", "msg_2"))
    assert ask({}, history=[None, one]) == ask({"previous_response_id": "resp_1"}, history=[None, two])
    assert ask({}, history=[None, one]).digest != ask({}, history=["Be brief.", one]).digest
    assert ask({}, history=[None]).digest != ask({}).digest
    assert ask({}, history=[None]).has_history


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def same(one: Any, two: Any) -> bool:
    """Equal as JSON: `1.0` is `1`, but `true` is not."""
    if isinstance(one, bool) or isinstance(two, bool):
        return one is two
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    if type(one) in (int, float) and type(two) in (int, float):
        return bool(one == two)
    return type(one) is type(two) and bool(one == two)


def respelt(value: Any, dice: random.Random) -> str:
    """The same JSON, written otherwise."""

    def shuffled(each: Any) -> Any:
        if isinstance(each, dict):
            pairs = list(each.items())
            dice.shuffle(pairs)
            return {name: shuffled(inner) for name, inner in pairs}
        return [shuffled(inner) for inner in each] if isinstance(each, list) else each

    return json.dumps(shuffled(value), ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, 2]))


@given(JSON, JSON, st.randoms())
def test_equal_keys_are_equal_questions_and_the_other_way_round(one: Any, two: Any, dice: random.Random) -> None:
    def key(value: Any) -> str:
        return question_of("chat", SCOPE, {"x": Raw(respelt(value, dice).encode())}).digest

    assert key(one) == key(one)
    assert (key(one) == key(two)) == same(one, two)


REQUESTS = st.dictionaries(st.sampled_from(sorted(OTHERS)), st.integers(0, 1))


@given(REQUESTS, REQUESTS, st.randoms())
def test_requests_share_where_all_that_counts_is_the_same(
    one: dict[str, int], two: dict[str, int], dice: random.Random
) -> None:
    def key(chosen: dict[str, int]) -> str:
        fields = {name: Raw(respelt(OTHERS[name][which], dice).encode()) for name, which in chosen.items()}
        return question_of("responses", SCOPE, fields).digest

    def counting(chosen: dict[str, int]) -> dict[str, Any]:
        return {name: OTHERS[name][which] for name, which in chosen.items() if name not in IRRELEVANT["responses"]}

    assert (key(one) == key(two)) == same(counting(one), counting(two))
    # One thing changed is another question, if it counts.
    for name, which in one.items():
        changed = key({**one, name: 1 - which}) != key(one)
        assert changed == (name not in IRRELEVANT["responses"])
