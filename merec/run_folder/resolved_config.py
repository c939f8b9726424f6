"""Validation of the resolved config of a run."""

from collections.abc import Mapping
from typing import Any

import yaml

from merec.run_folder.reading import UnexpectedError, expect

_MOST_VALUES = 100_000  # of a config; one of merec has some hundreds
_MOST_LEVELS = 40
# What readers look into; elsewhere, as among W&B's choices, the same names stand for words.
_NODES = (
    *("task", "corpus", "features", "datamodule", "backbone", "recipe", "trainer", "logger"),
    *("task.backbone", "task.datamodule", "task.datamodule.jitter", "task.datamodule.features"),
    *("task.datamodule.features.pool", "task.trainer"),
)


def check_config(config: Any) -> dict[str, Any]:
    """Return the config of a run from a file if it is plain and resolved; see `check_node`.

    Raises:
        UnexpectedError: As `check_node`, or if a node that merec reads is not a mapping.
    """
    check_node(config)
    for name in _NODES:
        expect(find_node(config, name), dict, name, "entries by name")
    for name in ("name", "remark", "note"):
        expect(config.get(name), (str, type(None)), name, "a text")
    for name in ("seed", "fold"):
        expect(config.get(name), (int, type(None)), name, "a whole number")
    return config


def check_node(config: Any) -> dict[str, Any]:
    """Return a config node from a file if it is a mapping with plain, resolved values.

    Args:
        config: Result of `yaml.safe_load`.

    Raises:
        UnexpectedError: If it is not a mapping, or a key or value contains an interpolation (`${…}`).
            OmegaConf could resolve it to a variable of this machine, or to a class to call.
    """
    expect(config, dict, "it", "entries by name")
    waiting: list[tuple[str, Any, int]] = [("", config, 0)]
    values = 0
    # Not recursive: YAML's aliases can repeat a value, or hold themselves.
    while waiting:
        path, value, level = waiting.pop()
        values += 1
        if values > _MOST_VALUES or level > _MOST_LEVELS:
            raise UnexpectedError("it holds more values or levels than a config of merec")
        if isinstance(value, dict):
            for key, child in value.items():
                name = expect(key, (str, int), f"a key of {path or 'it'}", "a name")
                below = f"{path}.{name}" if path else str(name)
                _refuse_interpolation(name, f"a key of {path or 'it'}")
                waiting.append((below, child, level + 1))
        elif isinstance(value, list):
            waiting += [(f"{path}[{place}]", child, level + 1) for place, child in enumerate(value)]
        else:
            expect(value, (str, int, float, bool, type(None)), path, "a text, a number or null")
            _refuse_interpolation(value, path)
    return config


def _refuse_interpolation(value: Any, path: str) -> None:
    if isinstance(value, str) and ("${" in value or value == "???"):
        raise UnexpectedError(f"{path} is {value[:60]!r}, but a config in a file is resolved")


def find_node(config: Mapping[str, Any], path: str) -> Any:
    """Return a node of a config by its dotted name; empty if it is absent or null."""
    node: Any = config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return {} if node is None else node


def parse_config(text: str) -> dict[str, Any]:
    """Parse the text of a resolved config; see `check_config`.

    Raises:
        UnexpectedError: As `check_config`, or if the text is truncated (which is often still valid YAML).
    """
    if text and not text.endswith("\n"):
        raise UnexpectedError("its last line is not whole")
    # Not yaml.CSafeLoader, which is seven times as fast: a damaged file could end the process with it.
    return check_config(yaml.safe_load(text))
