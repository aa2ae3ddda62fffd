"""How a script is told, and which call it reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from responses_api.demo_backend import script
from responses_api.demo_backend.script import Queue, Script, ScriptError, Steps


@pytest.mark.parametrize(
    ("model", "steps"),
    [
        ("demo-script:status=429", Steps(status=429)),
        ("demo-script:status=503;delay_ms=100.5", Steps(status=503, delay_ms=100.5)),
        ("demo-script: text = hello there ; crlf=true;", Steps(text=" hello there ", crlf=True)),
        ('demo-script:headers={"retry-after":"2"}', Steps(headers={"retry-after": "2"})),
        ('demo-script:{"pieces": ["a", "b"]}', Steps(pieces=["a", "b"])),
        ("demo-script:", Steps()),
    ],
)
def test_a_model_name_tells_steps(model: str, steps: Steps) -> None:
    assert script.from_model(model) == steps


def test_an_ordinary_model_name_tells_nothing() -> None:
    assert script.from_model("gpt-4o") is None


@pytest.mark.parametrize(
    "model", ["demo-script:stauts=429", "demo-script:status=teapot", "demo-script:{", 'demo-script:{"x": 1}']
)
def test_a_wrong_model_script_is_refused(model: str) -> None:
    with pytest.raises(ScriptError, match="demo script: "):
        script.from_model(model)


def test_a_posted_script_is_for_one_chat_call_unless_told() -> None:
    assert script.parse_script(b'{"steps": {"status": 500}}') == Script(Steps(status=500), times=1, on="chat")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"steps": {}, "time": 2}', b'{"steps": {}, "on": "tea"}'])
def test_a_wrong_posted_script_is_refused(body: bytes) -> None:
    with pytest.raises(ScriptError):
        script.parse_script(body)


def test_steps_are_completed_by_the_defaults() -> None:
    defaults = Steps(tokens_per_second=33, answer_bytes=100)
    assert Steps(answer_bytes=5, status=500).over(defaults) == Steps(tokens_per_second=33, answer_bytes=5, status=500)


def test_zero_and_false_are_told() -> None:
    told = Steps(tokens_per_second=0, crlf=False, stall_after=0)
    assert told.over(Steps(tokens_per_second=33, crlf=True, stall_after=3)) == told


def taken(queue: Queue, calls: int) -> list[Any]:
    return [steps and steps.status for steps in (queue.take("chat") for _ in range(calls))]


def test_scripts_are_played_in_the_order_they_were_told() -> None:
    queue = Queue()
    queue.add(Script(Steps(status=500), times=2))
    queue.add(Script(Steps(status=429)))
    assert taken(queue, 4) == [500, 500, 429, None]


def test_a_script_without_times_stays_until_cleared() -> None:
    queue = Queue()
    queue.add(Script(Steps(status=500), times=None))
    assert taken(queue, 3) == [500, 500, 500]
    queue.clear()
    assert taken(queue, 1) == [None]


def test_a_script_for_no_times_is_not_played() -> None:
    queue = Queue()
    queue.add(Script(Steps(status=500), times=0))
    assert taken(queue, 1) == [None]


def test_each_kind_of_call_has_its_own_queue() -> None:
    queue = Queue()
    queue.add(Script(Steps(status=503), on="health"))
    assert queue.take("chat") is None
    assert queue.take("models") is None
    assert queue.take("health") == Steps(status=503)
    assert queue.take("health") is None


def test_the_table_names_every_step() -> None:
    table = (script.__doc__ or "").partition("Frames are counted")[0]
    assert [step for step in Steps.__struct_fields__ if f"`{step}`" not in table] == []


def test_the_package_is_a_stranger_to_the_gateway() -> None:
    package = Path(script.__file__).parent
    lines = [line for path in package.glob("*.py") for line in path.read_text().splitlines() if "import" in line]
    ours = [line for line in lines if "responses_api" in line and "responses_api.demo_backend" not in line]
    assert ours == []
    assert [line for line in lines if "django" in line] == []


def test_steps_survive_their_own_json() -> None:
    steps = Steps(raw_chunks=["data: é\n\n"], cut_after=0)
    assert script.parse_steps(msgspec.json.encode(steps)) == steps
