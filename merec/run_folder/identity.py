"""Identity of a configuration: the settings that pooled runs must have in common."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from merec.targets import TARGETS

# What changes no prediction but for rounding, by its place below `task`: a network may have a setting of the
# same name that matters. Of the data, hashes of its own are kept (see provenance).
_INDIFFERENT = (
    "folds",
    "engine",
    "workers",
    "chunk",
    "compiled",
    "monitor_steps",
    "backbone.compiled",
    "datamodule.num_workers",
    "datamodule.features.root",
)
_OF_CORPORA = ("root", "expected")  # at any depth of a corpus, which may be of several
# Places below `task` that older runs lack, with what these did.
_LATER = {
    "groups": None,
    "train_subjects": None,
    "pretrain_steps": None,
    "pool.source": "unlabelled",
    "datamodule.views": None,
    "datamodule.features.view_region": "crop",
    "datamodule.features.depth_noise": 0,
    "datamodule.features.points.select": "motion",
    "datamodule.features.points.scale": "max",
    "datamodule.features.points.smooth_dz": 0,
}
_VARIED = ("seed", "fold", "datamodule.seed")  # what runs that are pooled differ in


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a resolved config that affects the predictions of a fold.

    This is the node of the task. By interpolation it contains all settings that the task uses and no others,
    e.g. not the backbone for a baseline, and not the name or logger of the run.
    """
    task = config.get("task") or config
    target = TARGETS.get(str(task.get("target")))  # which older runs do not have
    if target is not None:
        task = {key: value for key, value in task.items() if key not in target.unused_settings}
    given = flatten(task)
    later = [place for place, value in _LATER.items() if given.get(place) == value]
    return _drop(task, (*_INDIFFERENT, *later))


def shared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the common settings of pooled runs: `comparable` without seed and held-out subject."""
    return _drop(comparable(config), _VARIED)


def configuration_hash(config: Mapping[str, Any]) -> str:
    """Hash the common settings of runs that differ only in seed and fold range, 16 hex digits."""
    text = json.dumps(shared_settings(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_hash_of(recorded: str, config: Mapping[str, Any]) -> bool:
    """Return whether a recorded hash matches a config, by the current or an earlier hash function."""
    return recorded in (configuration_hash(config), _hash_by_name(config))


# Before places counted, these keys were left out wherever they stood.
_NAMES = ("root", "expected", "folds", "num_workers", "engine", "workers", "chunk", "compiled")


def _hash_by_name(config: Mapping[str, Any]) -> str:
    def drop(node: Any) -> Any:
        if isinstance(node, list):
            return [drop(value) for value in node]
        if not isinstance(node, Mapping):
            return node
        return {key: drop(value) for key, value in node.items() if key not in (*_NAMES, *_VARIED)}

    text = json.dumps(drop(comparable(config)), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _drop(node: Any, places: tuple[str, ...], path: str = "") -> Any:
    """Return a config without some keys, and without the folders of its corpora."""
    if isinstance(node, list):
        return [_drop(value, places, path) for value in node]
    if not isinstance(node, Mapping):
        return node
    kept = {}
    in_corpus = path.startswith("datamodule.corpus.")
    for key, value in node.items():
        place = f"{path}{key}"
        if place not in places and not (in_corpus and key in _OF_CORPORA):
            kept[key] = _drop(value, places, f"{place}.")
    return kept


def flatten(config: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested config as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        flat |= (
            flatten(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
        )
    return flat
