"""A value for every schema, judged by a validator that is not ours."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_api.demo_backend.chat_request import RequestError
from responses_api.demo_backend.schema_values import capitalised_words, value_for

PERSON = {
    "$defs": {
        "address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "no": {"type": "integer"}},
            "required": ["street", "no"],
        }
    },
    "type": "object",
    "properties": {"name": {"type": "string"}, "home": {"$ref": "#/$defs/address"}},
    "required": ["name", "home"],
    "additionalProperties": False,
}
TREE = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "left": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        "leaves": {"type": "array", "items": {"$ref": "#"}},
    },
    "required": ["label", "left", "leaves"],
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "demo"),
        ({"type": "integer"}, 1),
        ({"type": "number"}, 1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, "demo"),
        ({"type": "string", "enum": ["celsius", "fahrenheit"]}, "celsius"),
        ({"const": 0}, 0),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"oneOf": [{"type": "null"}, {"type": "integer"}]}, None),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "number", "exclusiveMinimum": 3}, 3.5),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "exclusiveMaximum": 0}, -0.5),
        ({"type": "integer", "multipleOf": 5}, 5),
        ({"type": "integer", "multipleOf": 5, "maximum": 4}, 0),
        ({"type": "string", "minLength": 6}, "demoxx"),
        ({"type": "string", "maxLength": 2}, "de"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        ({"type": "array", "prefixItems": [{"type": "null"}], "items": False}, [None]),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "null"}}}, {"a": None}),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "demo"}),
        ({"type": "object", "required": ["free"]}, {"free": "demo"}),
        ({"allOf": [{"minimum": 2}, {"type": "integer"}]}, 2),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": "x"}}}, "x"),
        (PERSON, {"name": "demo", "home": {"street": "demo", "no": 1}}),
        ({}, "demo"),
    ],
)
def test_the_value_is_the_simplest_that_satisfies_the_schema(schema: dict[str, Any], value: Any) -> None:
    assert value_for(schema) == value
    jsonschema.validate(value, schema)


def test_parts_of_all_of_are_one_schema() -> None:
    named = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    aged = {"properties": {"age": {"type": "integer"}}, "required": ["age"]}
    assert value_for({"allOf": [named, aged]}) == {"name": "demo", "age": 1}


def test_a_recursive_schema_comes_to_an_end() -> None:
    jsonschema.validate(value_for(TREE), TREE)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "object", "properties": {"again": {"$ref": "#"}}, "required": ["again"]},
    ],
)
def test_a_schema_without_a_finite_value_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="Invalid schema"):
        value_for(schema)


def test_strings_are_the_given_words_in_their_order() -> None:
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 3}
    assert value_for(schema, ["Paris", "Rome"]) == ["Paris", "Rome", "demo"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is the weather in Paris?", ["Paris"]),
        ("Paris", []),
        ("compare Zürich and New York, I said", ["Zürich", "New", "York"]),
        ("", []),
    ],
)
def test_names_are_the_capitalised_words_after_the_first(text: str, words: list[str]) -> None:
    assert capitalised_words(text) == words


_LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 3, "maxLength": 5},
        {"type": "integer", "minimum": -3, "maximum": 8},
        {"type": "number", "exclusiveMinimum": 1},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["a", 2, None]},
        {"type": ["integer", "null"]},
    ]
)


def _grown(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(st.sampled_from("abcd"), schemas, max_size=4)
    objects = properties.map(
        lambda made: {
            "type": "object",
            "properties": made,
            "required": list(made),
            "additionalProperties": False,
        }
    )
    arrays = st.builds(
        lambda items, few: {"type": "array", "items": items, "minItems": few}, schemas, st.integers(0, 3)
    )
    return objects | arrays | st.lists(schemas, min_size=1, max_size=3).map(lambda made: {"anyOf": made})


@given(st.recursive(_LEAVES, _grown, max_leaves=12))
def test_any_schema_is_satisfied(schema: dict[str, Any]) -> None:
    jsonschema.validate(value_for(schema), schema)
