"""JSON bytes → typed values, and msgspec's complaints → OpenAI's.

A wrong value becomes an `InvalidRequest` whose `param` is the path in OpenAI's spelling (`input[0].content[1].text`)
and whose message says what was expected and what came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from responses_api.errors import InvalidRequest, MissingParameter

T = TypeVar("T")

_AT = re.compile(r" - at (`key` in )?`\$(?P<path>.*)`\Z")
_WRONG_TYPE = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`")
_LIMIT = re.compile(r"Expected `(?P<kind>int|float)` (?P<sign>[<>]=) (?P<limit>\S+)")
_LENGTH = re.compile(r"Expected `(?P<kind>str|array|object)` of length (?P<sign>[<>]=) (?P<limit>\d+)")
_ENUM = re.compile(r"Invalid (enum )?value '(?P<value>.*)'")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")

_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_NOUNS = {"str": "string", "array": "array", "object": "object"}


@cache
def decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    """One compiled decoder a type."""
    return msgspec.json.Decoder(shape)


def decode(data: bytes | msgspec.Raw, shape: type[T], path: str = "") -> T:
    """`data` as `shape`. Raises `InvalidRequest`; `path` is where `data` stands in the whole body."""
    try:
        result: T = decoder(cast(Hashable, shape)).decode(data)
    except msgspec.ValidationError as error:
        raise _explain(error, shape, data, path) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _malformed(error, path) from None
    except RecursionError:
        raise _malformed("it is nested too deeply", path) from None
    return result


def decode_any(data: bytes | msgspec.Raw, path: str = "") -> Any:
    """`data` as plain dicts, lists and scalars. Raises `InvalidRequest`."""
    return decode(data, Any, path)


def invalid_value(value: object, supported: list[str], param: str) -> InvalidRequest:
    quoted = [f"'{name}'" for name in supported]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
    return InvalidRequest(
        f"Invalid value: '{value}'. Supported values are: {listed}.", code="invalid_value", param=param
    )


def invalid_type(expected: str, value: object, param: str) -> InvalidRequest:
    """`expected` in words: "a string"."""
    return InvalidRequest(
        f"Invalid type for '{param}': expected {expected}, but got {_describe(value)} instead.",
        code="invalid_type",
        param=param,
    )


def _malformed(reason: object, path: str) -> InvalidRequest:
    where = f" in '{path}'" if path else ""
    return InvalidRequest(
        f"We could not parse the JSON body of your request{where}: {reason}. "
        "Send one valid JSON document, UTF-8 encoded, without NaN or Infinity.",
        code="invalid_json",
        param=path or None,
    )


def _explain(error: msgspec.ValidationError, shape: Any, data: bytes | msgspec.Raw, base: str) -> InvalidRequest:
    text = str(error)
    at = _AT.search(text)
    inner = at["path"] if at else ""
    param = (base + inner).lstrip(".")
    try:
        for pattern, build in _EXPLANATIONS:
            if match := pattern.match(text):
                return build(match, param, lambda: _value_at(data, inner), lambda: _supported(shape, inner))
    except (msgspec.DecodeError, UnicodeError) as malformed:
        # msgspec tells of the wrong type first, though no JSON follows it.
        return _malformed(malformed, base)
    except RecursionError:
        return _malformed("it is nested too deeply", base)
    return InvalidRequest(f"Invalid value for '{param}': {text.split(' - at ')[0]}.", code="invalid_value", param=param)


def _wrong_type(
    match: re.Match[str], param: str, value: Callable[[], Any], _: Callable[[], list[str]]
) -> InvalidRequest:
    kinds = [_WORDS.get(kind, kind) for kind in match["expected"].split(" | ") if kind != "null"]
    expected = kinds[0] if len(kinds) == 1 else "one of " + " or ".join(kinds)
    if not param:
        got = _describe(value())
        return InvalidRequest(f"The request body must be {expected}, but it is {got}.", code="invalid_type")
    return invalid_type(expected, value(), param)


def _beyond_limit(
    match: re.Match[str], param: str, value: Callable[[], Any], _: Callable[[], list[str]]
) -> InvalidRequest:
    below = match["sign"] == ">="
    kind = "integer" if match["kind"] == "int" else "decimal"
    return InvalidRequest(
        f"Invalid '{param}': {kind} {'below minimum' if below else 'above maximum'} value. "
        f"Expected a value {match['sign']} {match['limit'].removesuffix('.0')}, but got {value()} instead.",
        code=f"{kind}_{'below_min' if below else 'above_max'}_value",
        param=param,
    )


def _wrong_length(
    match: re.Match[str], param: str, value: Callable[[], Any], _: Callable[[], list[str]]
) -> InvalidRequest:
    short = match["sign"] == ">="
    noun = _NOUNS[match["kind"]]
    unit = "properties" if noun == "object" else "length"
    return InvalidRequest(
        f"Invalid '{param}': {noun} {'below minimum' if short else 'above maximum'} {unit}. "
        f"Expected {match['sign']} {match['limit']}.",
        code=f"{noun}_{'below_min' if short else 'above_max'}_{unit}",
        param=param,
    )


def _not_in_enum(
    match: re.Match[str], param: str, value: Callable[[], Any], supported: Callable[[], list[str]]
) -> InvalidRequest:
    names = supported()
    if names:
        return invalid_value(match["value"], names, param)
    return InvalidRequest(f"Invalid value: '{match['value']}'.", code="invalid_value", param=param)


def _missing(match: re.Match[str], param: str, value: Callable[[], Any], _: Callable[[], list[str]]) -> InvalidRequest:
    return MissingParameter(f"{param}.{match['field']}" if param else match["field"])


_EXPLANATIONS: list[tuple[re.Pattern[str], Callable[..., InvalidRequest]]] = [
    (_WRONG_TYPE, _wrong_type),
    (_LIMIT, _beyond_limit),
    (_LENGTH, _wrong_length),
    (_ENUM, _not_in_enum),
    (_MISSING, _missing),
]


def _describe(value: Any) -> str:
    if value is None:
        return "null"
    for kind, words in ((bool, "bool"), (str, "str"), (int, "int"), (float, "float"), (list, "array")):
        if isinstance(value, kind):
            return _WORDS[words]
    return _WORDS["object"]


def _steps(path: str) -> list[str]:
    """`.input[0].type` → `["input", "0", "type"]`; `[...]`, a mapping's any value, becomes `"..."`."""
    return re.findall(r"[^.\[\]]+|\.\.\.", path.replace("[...]", "[\N{HORIZONTAL ELLIPSIS}]"))


def _value_at(data: bytes | msgspec.Raw, path: str) -> Any:
    """What the client sent there; for a mapping's value, where msgspec does not tell the key, the mapping."""
    value = msgspec.json.decode(data)
    for step in _steps(path):
        if isinstance(value, list) and step.isdigit():
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, dict):
            return next((item for item in value.values() if not isinstance(item, str)), None)
    return value


def _supported(shape: Any, path: str) -> list[str]:
    """The values that the type at `path` allows: a Literal's, or the tags of a union's members."""
    node: Any = msgspec.inspect.type_info(shape)
    for step in _steps(path):
        node = _child(node, step)
    return sorted(_allowed(node))


def _members(node: Any) -> list[Any]:
    return list(node.types) if isinstance(node, msgspec.inspect.UnionType) else [node]


def _child(node: Any, step: str) -> Any:
    found: list[Any] = []
    for member in _members(node):
        if isinstance(member, msgspec.inspect.ListType) and step.isdigit():
            return member.item_type
        if isinstance(member, msgspec.inspect.StructType):
            if step == member.tag_field:
                found.append(msgspec.inspect.LiteralType((str(member.tag),)))
            found += [field.type for field in member.fields if field.encode_name == step]
    if len(found) == 1:
        return found[0]
    return msgspec.inspect.UnionType(tuple(found)) if found else node


def _allowed(node: Any) -> set[str]:
    return {
        str(value)
        for member in _members(node)
        if isinstance(member, msgspec.inspect.LiteralType)
        for value in member.values
    }
