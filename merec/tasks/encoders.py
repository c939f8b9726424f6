"""Encoders that were pretrained without some subjects, kept so that folds and runs share them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from merec.assets import cache_folder
from merec.datamodules import ClipDataModule
from merec.source_code import COUNTED_BY_CONTENT, hash_sources
from merec.types import InputError

_TRAINER = "merec.tasks.training.FoldTrainer"


def group_subjects(subjects: Sequence[str], groups: int | None) -> dict[str, list[str]]:
    """Who is held out together with a subject: the others of its group.

    Args:
        subjects: All of a corpus.
        groups: Number of groups of about equal size; `None` for a group each.

    Raises:
        InputError: If there are too few or too many groups.
    """
    people = sorted(set(subjects))
    if groups is None:
        return {subject: [subject] for subject in people}
    if not 2 <= groups <= len(people):
        raise InputError(
            f"task.pretrain_groups={groups}, but there are {len(people)} subjects: give 2 to {len(people)}, "
            "null for one each, or task.transductive=true for one encoder that sees everyone"
        )
    parts = [people[start::groups] for start in range(groups)]
    return {subject: part for part in parts for subject in part}


def locate_encoder(settings: Mapping[str, Any], data: ClipDataModule) -> Path:
    """Where in merec's cache the encoder lies that was or will be made of some pairs.

    Args:
        settings: All that decides its weights beside the pairs; factories count by what they call.
        data: The pairs it is trained on, in `train_rows`, and is measured on, in `test_rows`.
    """
    shown = {
        "torch": torch.__version__,
        "held_out": data.held_out,
        "batch_size": data.batch_size,
        "augment": data.augment,
        "scaling": data.scaling,
        "channels": data.names,
    }
    roots = [_TRAINER, _name(type(data)), *_list_callables(settings)]
    shown["code"] = hash_sources(roots, COUNTED_BY_CONTENT).hash
    text = json.dumps(_spell(shown | dict(settings)), sort_keys=True)
    digest = hashlib.sha256(text.encode())
    # Pairs of held-out subjects, too: how well they are told apart is kept beside the weights.
    for rows in (data.train_rows, data.test_rows):
        for row in rows[data.sample_id[rows].argsort()]:
            digest.update(str(data.sample_id[row]).encode())
            for view in data.views:
                digest.update(np.ascontiguousarray(view[row].numpy()).data)
    return cache_folder() / "encoders" / f"{digest.hexdigest()[:24]}.ckpt"


def _spell(value: Any) -> Any:
    """A setting as JSON, the same in every process; a factory as what it calls with which arguments."""
    if isinstance(value, partial):
        return [_spell(value.func), _spell(value.args), _spell(value.keywords)]
    if is_dataclass(value) and not isinstance(value, type):
        return _spell(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _spell(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spell(each) for each in value]
    if callable(value):
        return _name(value)
    return value


def _list_callables(value: Any) -> Iterator[str]:
    """Dotted names of the functions and classes in a setting."""
    if isinstance(value, partial):
        for part in (value.func, value.args, value.keywords):
            yield from _list_callables(part)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _list_callables(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _list_callables(each)
    elif is_dataclass(value) and not isinstance(value, type):
        yield _name(type(value))
    elif callable(value) and "<locals>" not in value.__qualname__:
        yield _name(value)


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
