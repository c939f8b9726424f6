"""Which settings make two runs one configuration; plain dictionaries, so that all layers may ask."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# What changes no prediction but for rounding. Of the data, hashes of its own are kept (see provenance).
_INDIFFERENT = (
    "root",
    "expected",
    "folds",
    "num_workers",
    "engine",
    "workers",
    "chunk",
    "compiled",
)
_OF_UNITS = ("target", "min_subjects", "least_subjects")
_VARIED = ("seed", "fold")  # what runs that are pooled differ in


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that decides what a fold predicts.

    That is the task's node, which by interpolation holds all that the task uses, and nothing else: not the
    backbone of a baseline, nor the run's name or logger.
    """
    task = config.get("task") or config
    if task.get("target") == "emotion":  # as runs do that are older than the choice
        task = {key: value for key, value in task.items() if key not in _OF_UNITS}
    return _drop(task, _INDIFFERENT)


def shared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What runs share that are pooled: `comparable` without seed and held-out subject."""
    return _drop(comparable(config), _VARIED)


def configuration_hash(config: Mapping[str, Any]) -> str:
    """A hash that runs share if they differ in nothing but seed and fold range; 16 hex digits."""
    text = json.dumps(shared_settings(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _drop(node: Any, keys: tuple[str, ...]) -> Any:
    """A config without some keys, wherever interpolation copied them to."""
    if isinstance(node, Mapping):
        return {key: _drop(value, keys) for key, value in node.items() if key not in keys}
    if isinstance(node, list):
        return [_drop(value, keys) for value in node]
    return node


def flatten(config: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        flat |= (
            flatten(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
        )
    return flat
