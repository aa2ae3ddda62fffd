"""What to say: a sum, a remembered name, a tool's output, or an echo that tells what arrived. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from responses_api.demo_backend.chat_request import Message

_SUM = re.compile(r"(?<![\w.-])(-?[0-9]{1,15})\s*([-+*])\s*(-?[0-9]{1,15})(?!\w|[.-][0-9])")
_OPERATORS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_ASKS_NAME = re.compile(r"\bwhat(?:'s| is) my name\b", re.IGNORECASE)
_TELLS_NAME = re.compile(r"\bmy name is (\w+)", re.IGNORECASE)
_MEDIA = {"image_url": "image", "file": "file", "input_audio": "audio clip"}
_QUOTED_CHARS = 200


def reply(messages: Sequence[Message]) -> str:
    """One or two sentences in answer to the newest message."""
    if messages[-1].role == "tool":
        return _quoted_tools(messages)
    prompt = next((message.text for message in reversed(messages) if message.role == "user"), "")
    if _ASKS_NAME.search(prompt):
        return _remembered_name(messages)
    if match := _SUM.search(prompt):
        return _solved(match)
    return " ".join([*_seen_media(messages), _echo(prompt, len(messages))])


def _quoted_tools(messages: Sequence[Message]) -> str:
    newest = list(takewhile(lambda message: message.role == "tool", reversed(messages)))
    outputs = " and ".join(message.text for message in reversed(newest))
    return f"The tool answered: {outputs}"


def _remembered_name(messages: Sequence[Message]) -> str:
    for message in reversed(messages):
        if message.role == "user" and (match := _TELLS_NAME.search(message.text)):
            return f"Your name is {match[1]}."
    return "You have not told me your name."


def _solved(match: re.Match[str]) -> str:
    left, sign, right = match.groups()
    return f"{left}{sign}{right} is {_OPERATORS[sign](int(left), int(right))}."


def _seen_media(messages: Sequence[Message]) -> list[str]:
    kinds = [part.type for message in messages for part in message.parts]
    counts = {noun: kinds.count(kind) for kind, noun in _MEDIA.items()}
    return [f"I see {count} {noun}{'s' * (count > 1)}." for noun, count in counts.items() if count]


def _echo(prompt: str, messages: int) -> str:
    return f'You said "{prompt[:_QUOTED_CHARS]}" and I have seen {messages} message{"s" * (messages > 1)}.'
