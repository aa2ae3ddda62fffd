"""JSON schema → one value that satisfies it, always the same (JSON Schema 2020-12, what tools use). Pure.

Not looked at: `pattern`, `not`, `if`, `uniqueItems`, `patternProperties`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from responses_api.demo_backend.chat_request import RequestError

Schema = dict[str, Any]

# Deeper than any real tool's arguments; beyond it a recursive schema gets its smallest value.
_FULL_DEPTH = 6
_DEEPEST = 40

_FORMATS = {
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "date-time": "2026-01-01T12:00:00Z",
    "duration": "PT1H",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def capitalised_words(text: str) -> list[str]:
    """The names in `text`: its capitalised words, without the first, which is capitalised anyway."""
    return [word for word in re.findall(r"\w+", text)[1:] if word[0].isupper() and len(word) > 1]


def value_for(schema: Schema, words: Sequence[str] = ()) -> Any:
    """A JSON value valid under `schema`; its strings are `words` in their order, then "demo".

    Raises `RequestError` (400) where the schema has no finite value.
    """
    return _Generator(schema, words).value(schema)


class _Generator:
    def __init__(self, root: Schema, words: Sequence[str]) -> None:
        self._root = root
        self._words = iter(words)
        self._depth = 0

    def value(self, schema: Any) -> Any:
        if self._depth >= _DEEPEST:
            raise RequestError(400, "Invalid schema: it has no finite value.", code="invalid_schema")
        self._depth += 1
        try:
            return self._value(self._resolve(schema))
        finally:
            self._depth -= 1

    def _value(self, schema: Schema) -> Any:
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for keyword in ("anyOf", "oneOf"):
            if schema.get(keyword):
                return self.value(self._branch(schema[keyword]))
        return self._typed(_type_of(schema, self._depth > _FULL_DEPTH), schema)

    def _typed(self, kind: str, schema: Schema) -> Any:
        match kind:
            case "object":
                return self._object(schema)
            case "array":
                return self._array(schema)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case _:
                return None

    def _resolve(self, schema: Any) -> Schema:
        """Follows `$ref` and folds `allOf` into one schema."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, dict):
                return {}
            if "$ref" in schema:
                schema = {**self._pointed(schema["$ref"]), **_without(schema, "$ref")}
            elif "allOf" in schema:
                schema = _folded(_without(schema, "allOf"), [self._resolve(part) for part in schema["allOf"]])
            else:
                return schema
        raise RequestError(400, "Invalid schema: it refers to itself.", code="invalid_schema")

    def _pointed(self, reference: str) -> Schema:
        """`#/$defs/name` within the root; anything else is an unknown, hence free, schema (RFC 6901)."""
        target: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, dict) else None
        return target if isinstance(target, dict) else {}

    def _branch(self, branches: list[Any]) -> Any:
        """The first alternative; deep inside a recursive schema the one that ends it."""
        if self._depth > _FULL_DEPTH:
            return min(branches, key=lambda branch: _weight(self._resolve(branch)))
        return branches[0]

    def _object(self, schema: Schema) -> dict[str, Any]:
        properties: Schema = schema.get("properties") or {}
        required: list[str] = schema.get("required") or []
        wanted = required or ([] if self._depth > _FULL_DEPTH else list(properties))
        return {name: self.value(properties.get(name, {})) for name in wanted}

    def _array(self, schema: Schema) -> list[Any]:
        firsts = [self.value(item) for item in schema.get("prefixItems") or ()]
        fewest = schema.get("minItems", 0 if self._depth > _FULL_DEPTH else 1)
        if schema.get("maxItems") is not None:
            fewest = min(fewest, schema["maxItems"])
        items = schema.get("items", {})
        if items is False:
            return firsts
        return firsts + [self.value(items) for _ in range(fewest - len(firsts))]

    def _string(self, schema: Schema) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        word = next(self._words, "demo")
        return word.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def _type_of(schema: Schema, smallest: bool) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return "null" if smallest and "null" in kind else str(kind[0])
    if kind is not None:
        return str(kind)
    return "array" if "items" in schema else "object" if "properties" in schema else "string"


def _number(schema: Schema, *, whole: bool) -> int | float:
    step = schema.get("multipleOf") or (1 if whole else None)
    value = _within_bounds(schema, step)
    if step:
        value = math.ceil(value / step) * step
        if "maximum" in schema and value > schema["maximum"]:
            value -= step
    return int(value) if whole or value == int(value) else value


def _within_bounds(schema: Schema, step: float | None) -> float:
    value: float = 1
    gap = step or 0.5
    if "minimum" in schema:
        value = max(value, schema["minimum"])
    if "exclusiveMinimum" in schema:
        value = max(value, schema["exclusiveMinimum"] + gap)
    if "maximum" in schema:
        value = min(value, schema["maximum"])
    if "exclusiveMaximum" in schema:
        value = min(value, schema["exclusiveMaximum"] - gap)
    return value


def _weight(schema: Schema) -> int:
    if schema.get("type") == "null":
        return 0
    return 2 if _type_of(schema, smallest=False) in ("object", "array") else 1


def _without(schema: Schema, key: str) -> Schema:
    return {name: value for name, value in schema.items() if name != key}


def _folded(own: Schema, parts: list[Schema]) -> Schema:
    folded: Schema = {}
    for part in [*parts, own]:
        properties = {**folded.get("properties", {}), **part.get("properties", {})}
        required = list(dict.fromkeys([*folded.get("required", []), *part.get("required", [])]))
        folded = {**folded, **part}
        if properties:
            folded["properties"] = properties
        if required:
            folded["required"] = required
    return folded
