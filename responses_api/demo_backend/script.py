"""The ways to misbehave: what a script may ask for, and how it is told. Pure.

A script reaches the server as the body field `demo_script`, the header `x-demo-script` (JSON), the model name
`demo-script:status=429;delay_ms=100`, or beforehand by `POST /script`; the first one present wins.

| step                  | effect                                                                             |
| --------------------- | ---------------------------------------------------------------------------------- |
| `delay_ms`            | milliseconds before the headers                                                    |
| `hang_up`             | closes the connection instead of answering                                         |
| `status`              | HTTP status; from 400 on with an OpenAI-shaped error unless `body` or `html`       |
| `headers`             | more response headers, e.g. `{"retry-after": "2"}`; also on a good answer          |
| `error`               | the error object of a refused call, or of `error_after`                            |
| `body`                | the whole body: a string as it is, else JSON; any status, 200 included             |
| `html`                | an HTML error page, status 502 unless `status`                                     |
| `text`, `pieces`      | what to say; `pieces` also fixes how a stream cuts it                              |
| `answer_bytes`        | says a filler of exactly so many bytes                                             |
| `tokens`              | says a filler of exactly so many pieces; both hold with `answer_bytes`             |
| `context_tokens`      | refuses longer prompts, counted in words, as vLLM does; `/tokenize` tells it       |
| `reasoning`           | reasoning text before the answer                                                   |
| `reasoning_field`     | its field: `reasoning_content` (default) or `reasoning`                            |
| `refusal`             | refuses with this text                                                             |
| `tool_calls`          | calls these: `[{"name", "arguments", "id"}]`; arguments a string or an object      |
| `finish_reason`       | e.g. `content_filter`, `length`                                                    |
| `usage`               | the usage object, verbatim                                                         |
| `usage_placement`     | `own` chunk, `finish` chunk, `every` chunk, `no_choices` (key left out), `none`    |
| `ignore_stream`       | answers `stream: true` with one JSON document                                      |
| `raw_chunks`          | a stream of exactly these strings, one packet each                                 |
| `tokens_per_second`   | pace of a stream's packets; 0 as fast as it can                                    |
| `stall_after`         | K frames, then silence until the client leaves                                     |
| `cut_after`           | K frames, then the connection is closed mid-body                                   |
| `end_after`           | K frames, then a clean end without finish reason, usage or `[DONE]`                |
| `error_after`         | K frames, then `data: {"error": …}` and `[DONE]`                                   |
| `malformed_after`     | K frames, then a chunk of broken JSON, then the rest                               |
| `no_done`             | leaves `[DONE]` out                                                                |
| `ping_every`          | a comment `: ping` before every Kth frame, the first included                      |
| `crlf`                | CRLF line ends                                                                     |
| `packet_bytes`        | packets of N bytes wherever that cuts, also inside a character                     |
| `frames_per_packet`   | N frames in one packet; 0 all of them                                              |
| `empty_choices_first` | a first chunk with `choices: []`                                                   |
| `repeat_role`         | `role` in every delta                                                              |
| `null_content`        | `content: null` in every delta and message that has no text                        |
| `calls_in_one_chunk`  | the deltas of all tool calls in one chunk                                          |
| `calls_without_index` | tool call deltas without `index`                                                   |
| `argument_chars`      | tool arguments in pieces of N characters (default 12)                              |

Frames are counted as sent, the opening `role` frame included. Of a JSON answer `stall_after` and `cut_after`
withhold everything (0) or the second half of the body (1 and more). Usage that is placed is sent also to a
client that did not ask for it. A step without effect on a call (`raw_chunks` on a JSON answer) is ignored.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

MODEL_PREFIX = "demo-script:"

Target = Literal["chat", "responses", "completions", "embeddings", "tokenize", "models", "health"]
_Shape = TypeVar("_Shape")
UsagePlacement = Literal["own", "finish", "every", "no_choices", "none"]


class ScriptError(ValueError):
    """A script that says something this server does not know; the message names it."""


class ScriptedCall(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: str | dict[str, Any] = "{}"
    id: str | None = None


class Steps(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What to do with one call; see the table above. None: not told."""

    delay_ms: float | None = None
    hang_up: bool | None = None
    status: int | None = None
    headers: dict[str, str] | None = None
    error: dict[str, Any] | None = None
    body: Any = None
    html: bool | None = None

    text: str | None = None
    pieces: list[str] | None = None
    answer_bytes: int | None = None
    tokens: int | None = None
    context_tokens: int | None = None
    reasoning: str | None = None
    reasoning_field: Literal["reasoning_content", "reasoning"] | None = None
    refusal: str | None = None
    tool_calls: list[ScriptedCall] | None = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    usage_placement: UsagePlacement | None = None

    ignore_stream: bool | None = None
    raw_chunks: list[str] | None = None
    tokens_per_second: float | None = None
    stall_after: int | None = None
    cut_after: int | None = None
    end_after: int | None = None
    error_after: int | None = None
    malformed_after: int | None = None
    no_done: bool | None = None
    ping_every: int | None = None
    crlf: bool | None = None
    packet_bytes: int | None = None
    frames_per_packet: int | None = None
    empty_choices_first: bool | None = None
    repeat_role: bool | None = None
    null_content: bool | None = None
    calls_in_one_chunk: bool | None = None
    calls_without_index: bool | None = None
    argument_chars: int | None = None

    def over(self, defaults: Steps) -> Steps:
        """These steps, completed by `defaults` where nothing was told."""
        told = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(defaults, **told)


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """`steps` for the next `times` calls of one kind; `times` null: until told otherwise."""

    steps: Steps
    times: int | None = 1
    on: Target = "chat"


class Queue:
    """Scripts waiting for their calls, first come first served, each kind of call for itself."""

    def __init__(self) -> None:
        self._waiting: dict[Target, deque[list[Any]]] = {}

    def add(self, script: Script) -> None:
        if script.times is None or script.times > 0:
            self._waiting.setdefault(script.on, deque()).append([script.steps, script.times])

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, on: Target) -> Steps | None:
        """The steps for the call that just arrived, or None."""
        if not self._waiting:
            return None
        waiting = self._waiting.get(on)
        if not waiting:
            return None
        steps: Steps = waiting[0][0]
        if waiting[0][1] is not None:
            waiting[0][1] -= 1
            if waiting[0][1] == 0:
                waiting.popleft()
        return steps


def parse_script(body: bytes) -> Script:
    """The body of `POST /script`. Raises `ScriptError`."""
    return _convert(body, Script)


def parse_steps(text: str | bytes) -> Steps:
    """The JSON object in `x-demo-script`. Raises `ScriptError`."""
    return _convert(text, Steps)


def from_model(model: str) -> Steps | None:
    """The steps told by a model name, or None: `demo-script:{json}` or `demo-script:step=value;step=value`.

    A value is JSON, or else a string as it stands. Raises `ScriptError`.
    """
    if not model.startswith(MODEL_PREFIX):
        return None
    told = model.removeprefix(MODEL_PREFIX)
    if told.startswith("{"):
        return parse_steps(told)
    pairs = (pair.partition("=") for pair in told.split(";") if pair.strip())
    try:
        return msgspec.convert({name.strip(): _value(value) for name, _, value in pairs}, Steps)
    except msgspec.ValidationError as error:
        raise ScriptError(f"demo script: {error}") from error


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _convert(text: str | bytes, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.DecodeError as error:
        raise ScriptError(f"demo script: {error}") from error
