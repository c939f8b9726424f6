"""Range checks of the numbers and words of a config before any work starts."""

import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from merec.ranges import WORDS, find_range

# Lists that mean nothing when empty, where `null` means all.
_FILLED = ("datamodule.channels", "datamodule.views", "task.train_on")


def find_out_of_range(nodes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return one line for each value of a config that is out of its range.

    Args:
        nodes: Config, or a group of it. For an interpolation, the value that it refers to is checked.
        prefix: Dotted key of `nodes`.
    """
    return [line for key, value in walk_values(nodes, prefix) if (line := _judge(key, value))]


def _judge(key: str, value: Any) -> str | None:
    if isinstance(value, str) and ("${" in value or value == "???"):
        return None
    text = show_value(value)
    expected = find_range(key)
    if isinstance(value, dict):
        return None
    # A path of no letters would be the current folder.
    if value == "" and key.endswith("corpus.root"):
        return f"{key} is empty; give a folder, or leave {key} out"
    if expected is not None and isinstance(value, list) and key.endswith("classes"):
        return (
            None if value else f"{key}=[]; expected two classes or more"
        )  # of a composite: their names
    if expected is not None:
        return None if expected.holds(value) else f"{key}={text}; expected {expected.describe()}"
    given = value if isinstance(value, list) and key in _FILLED else [value]
    for odd in [one for one in given if key in WORDS and one not in WORDS[key]]:
        words = [show_value(word) for word in WORDS[key]]
        near = get_close_matches(str(odd), words, n=1)
        hint = (
            f"; did you mean {near[0]}?"
            if near
            else f"; choose {', '.join(words[:-1])} or {words[-1]}"
        )
        return f"{key}={text} is unknown{hint}"
    if key in _FILLED and value is not None and (not isinstance(value, list) or not value):
        return f"{key}={text}; expected a list of names, or null for all"
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(one, float) and not math.isfinite(one) for one in numbers):
        return f"{key}={text}; expected a finite number"
    return None


def show_value(value: Any) -> Any:
    """Return a value in the notation of a config."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value


def walk_values(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with its dotted key; a list without mappings is one value."""
    if isinstance(node, dict):
        if not node:
            yield key, node
        for name, child in node.items():
            yield from walk_values(child, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list) and any(isinstance(child, dict) for child in node):
        for number, child in enumerate(node):
            yield from walk_values(child, f"{key}[{number}]")
    else:
        yield key, node
