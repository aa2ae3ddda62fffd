"""What is read of a YAML file, and where a wrong one is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from responses_api.config.errors import ConfigError
from responses_api.config.yaml_file import read_mapping


def read(tmp_path: Path, text: str) -> dict[str, Any]:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return read_mapping(path, "KEY")


def test_it_reads_a_mapping(tmp_path: Path) -> None:
    assert read(tmp_path, "a: {b: [1, x]}") == {"a": {"b": [1, "x"]}}


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    assert read(tmp_path, "# nothing\n") == {}


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, x: 3}"
    tree = read(tmp_path, text)
    assert (tree["b"], tree["c"]) == ({"x": 1, "y": 2}, {"x": 3, "y": 2})


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a: 1\nb: [", ":2:5", "expected the node content"),
        ("a: 1\na: 2", ":2:1", "key 'a' is given twice"),
        ("a: {b: 1, 'b': 2}", ":1:11", "key 'b' is given twice"),
        ("a:\n  day: 2024-13-45", ":2:8", "text needs quotes"),
        ("? [a]\n: 1", ":1:3", "unhashable key"),
        ("a: 1\n---\nb: 1", ":2:1", "another document"),
        ("a: \x01", "", "special characters are not allowed"),
        ("a: !!python/object/apply:os.getcwd []", ":1:4", "needs quotes"),
        ("- a", "", "is not a mapping"),
        ("text", "", "is not a mapping"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_its_place(
    tmp_path: Path, text: str, place: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    (problem,) = caught.value.problems
    assert (problem.key, problem.value) == ("KEY", f"{tmp_path}/x.yaml{place}")
    assert reason in problem.reason


@pytest.mark.parametrize("sign", ["*", "!"])
def test_an_unquoted_password_is_not_repeated(tmp_path: Path, sign: str) -> None:
    with pytest.raises(ConfigError, match=r":1:11': .*begins with \* or ! needs quotes") as caught:
        read(tmp_path, f"password: {sign}hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^KEY = '/no/such\.yaml': cannot be read: No such file"):
        read_mapping(Path("/no/such.yaml"), "KEY")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_mapping(path, "KEY")
