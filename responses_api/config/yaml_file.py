"""A YAML file → the mapping in it; what cannot be read is one problem with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from responses_api.config.errors import ConfigError, Problem

# PyYAML's own words would repeat what follows the sign: an unquoted password, as likely as not.
_SIGNS = ("found undefined alias", "could not determine a constructor")


def read_mapping(path: Path, key: str) -> dict[str, Any]:
    """The mapping in the file at `path`; an empty file is an empty one.

    Raises `ConfigError`, with one problem under `key`, the name of whatever named the file.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError([Problem(key, str(path), f"cannot be read: {reason}", "Correct the path")]) from None
    except yaml.YAMLError as error:
        raise ConfigError([_syntax_problem(path, key, error)]) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError([Problem(key, str(path), "is not a mapping", "Write keys with values")])
    return tree


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuses a key given twice: the second would win in silence.

        Here, and not where values are made: by then a merge (`<<`) has put in the keys that it may override.
        """
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """What looks like a date or a number and is none (2024-13-45) gets its place named, too."""
        try:
            return super().construct_object(node, deep)
        except ValueError:
            problem = "looks like a date or a number and is none; text needs quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


def _syntax_problem(path: Path, key: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
    if reason.startswith(_SIGNS):
        reason = "text that begins with * or ! needs quotes"
    return Problem(key, place, f"not valid YAML: {reason}", "Mend that line")
