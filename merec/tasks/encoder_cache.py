"""Cache of pretrained encoders, which folds and runs share."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from merec.assets import cache_folder
from merec.datamodules import ClipDataModule
from merec.files import make_private, sweep_parts
from merec.run_folder.checkpoint import read_checkpoint, write_checkpoint
from merec.source_code import COUNTED_BY_CONTENT, hash_sources

_PRETRAINING = "merec.tasks.contrastive_pretraining.ContrastivePretraining"


Key = dict[str, Any]  # settings that decide an encoder, by name


def find_encoder(
    key: Key, pairs: ClipDataModule, train: Callable[[], dict[str, Any]], writes: bool
) -> tuple[dict[str, Any], Path]:
    """Read an encoder from the cache; if it is missing, train and write it first.

    Args:
        key: See `locate_encoder`.
        pairs: See `locate_encoder`.
        train: Trains the encoder and returns its checkpoint.
        writes: Whether this process writes the encoder. With several processes, the first one writes and
            holds the lock.

    Returns:
        The checkpoint and its file.
    """
    file = locate_encoder(key, pairs)
    make_private(file.parent)
    sweep_parts(file.parent)
    with FileLock(file.with_suffix(".lock")) if writes else nullcontext():
        if file.exists():
            return read_checkpoint(file), file
        encoder = train()
        if writes:
            write_checkpoint(file, encoder)
    return encoder, file


def locate_encoder(key: Key, data: ClipDataModule) -> Path:
    """Return the cache file of an encoder; its name is a hash of everything that affects the encoder.

    Args:
        key: Everything except the pairs that affects its weights; factories are described by their callable.
        data: Pairs for training, in `train_rows`, and for measurements, in `test_rows`.
    """
    about = {
        "torch": torch.__version__,
        "held_out": data.held_out,
        "batch_size": data.batch_size,
        "augment": data.augment,
        "scaling": data.scaling,
        "channels": data.names,
    }
    roots = [_PRETRAINING, _name(type(data)), *_list_callables(key)]
    about["code"] = hash_sources(roots, COUNTED_BY_CONTENT).hash
    text = json.dumps(_spell(about | key), sort_keys=True)
    digest = hashlib.sha256(text.encode())
    # Pairs of held-out subjects, too: the accuracy on them is kept beside the weights.
    for rows in (data.train_rows, data.test_rows):
        for row in rows[data.sample_id[rows].argsort()]:
            digest.update(str(data.sample_id[row]).encode())
            for view in data.sample_inputs.views:
                digest.update(np.ascontiguousarray(view[row].numpy()).data)
    return cache_folder() / "encoders" / f"{digest.hexdigest()[:24]}.ckpt"


def _spell(value: Any) -> Any:
    """Return a setting as reproducible JSON; a factory becomes its callable and arguments."""
    if isinstance(value, partial):
        return [_spell(value.func), _spell(value.args), _spell(value.keywords)]
    if is_dataclass(value) and not isinstance(value, type):
        return _spell(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _spell(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spell(part) for part in value]
    if callable(value):
        return _name(value)
    return value


def _list_callables(value: Any) -> Iterator[str]:
    """List the dotted names of the functions and classes in a setting."""
    if isinstance(value, partial):
        for part in (value.func, value.args, value.keywords):
            yield from _list_callables(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _list_callables(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _list_callables(part)
    elif is_dataclass(value) and not isinstance(value, type):
        yield _name(type(value))
    elif callable(value) and "<locals>" not in value.__qualname__:
        yield _name(value)


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
