"""Provenance of a run: config, data, code, versions and machine."""

import hashlib
import os
import platform
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from merec.datamodules import ClipDataModule
from merec.features.prepare import POOL_MAKERS
from merec.features.sample import CROPS, DEPTH, MOTION, list_makers, name_code
from merec.run_folder.identity import configuration_hash
from merec.source_code import COUNTED_BY_CONTENT, Sources, hash_sources, is_own
from merec.types import Protocol

PACKAGES = (
    *("torch", "pytorch-lightning", "torch-geometric", "numpy", "pandas", "scikit-learn"),
    *("hydra-core", "wandb"),
)


def describe_environment(
    config: dict[str, Any],
    data: Sequence[ClipDataModule],
    command: Sequence[str],
    protocol: Protocol,
) -> dict[str, Any]:
    """Return the environment of a run: hashes, protocol, command, commit, code, versions and machine.

    Args:
        config: The resolved config.
        data: The samples, then those that are pretrained on, if any.
        command: The command line.
        protocol: Protocol of the predictions.
    """
    sources = hash_run_sources(config, data)
    return {
        "name": config["name"],
        "configuration": configuration_hash(config),
        "content": _hash_content(data, config["task"].get("weights")),
        "protocol": protocol.to_dict(),
        "command": shlex.join(command),
        "commit": _read_commit(),
        "code": sources.files,
        "transductive": bool(config["task"].get("transductive", False)),
        "not_trained_on": {"zero_motion": int(data[0].still.sum())},
        "versions": {"python": platform.python_version(), "merec": version("merec")}
        | {name: version(name) for name in PACKAGES}
        | sources.libraries,
        "machine": {
            "system": platform.system(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def hash_run_sources(config: Mapping[str, Any], data: Sequence[ClipDataModule]) -> Sources:
    """Hash the code that affects the predictions of a run: backbone, task, target and feature stages.

    For corpus and feature store the content is hashed instead of the code, see `_hash_content`.

    Args:
        config: The resolved config.
        data: The samples, then those that are pretrained on, if any.
    """
    roots = {*_list_targets(config["task"])}
    files = {}
    for text in _list_texts(config["task"]):
        if is_own(text):  # a function of one's own, named for hydra.utils.get_method, say
            roots.add(text)
        elif len(text) < 1000 and "\0" not in text and Path(text).is_file():
            files[Path(text).name] = hashlib.sha256(Path(text).read_bytes()).hexdigest()[:16]
    for samples in data:
        roots.add(name_code(type(samples.representation)))
        if "onset" in samples.corpus.index:  # it has frames, of which features are made
            roots |= {*list_makers(CROPS, DEPTH, MOTION)}
    if config["task"].get("pretrain") == "contrastive":
        roots |= {*POOL_MAKERS}
    sources = hash_sources(roots, (*COUNTED_BY_CONTENT, "merec.features.sample"))
    return sources._replace(files=sources.files | files)


def _list_texts(node: Any) -> Iterator[str]:
    """List each text in a task's node except corpus, features and weights, whose content is hashed."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for value in node:
            yield from _list_texts(value)
    elif isinstance(node, Mapping):
        for key, child in node.items():
            if key not in ("corpus", "features", "weights", "estimators", "describe", "_target_"):
                yield from _list_texts(child)


def _list_targets(node: Any) -> Iterator[str]:
    """List each `_target_` that a task's node would build; for estimators only the chosen one."""
    if isinstance(node, list):
        for value in node:
            yield from _list_targets(value)
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        yield node["_target_"]
    chosen = node.get("estimator")
    for key, child in node.items():
        if key in ("corpus", "features"):
            continue
        if chosen is not None and key in ("estimators", "describe"):
            child = child.get(chosen, child.get("others"))
        yield from _list_targets(child)


def _hash_content(data: Sequence[ClipDataModule], weights: str | None) -> str:
    """Hash the data that are not part of the protocol: features and starting weights."""
    digest = hashlib.sha256()
    for samples in data:
        digest.update(",".join(samples.corpus.channels).encode())
        # Of what is pretrained on, whose samples they are and what they show stand in no protocol of the run.
        digest.update(samples.corpus.protocol.hash.encode())
        for array in samples.sample_inputs.arrays:
            for (
                row
            ) in samples.sample_id.argsort():  # one by one, for all of them may take gigabytes
                digest.update(np.ascontiguousarray(array[row]).data)
    if weights and Path(weights).is_file():
        digest.update(Path(weights).read_bytes())
    return digest.hexdigest()[:16]


def _read_commit() -> str | None:
    """Read the commit of the running checkout; `None` if merec is installed.

    Uncommitted changes add `+` and a hash of the difference, untracked files included.
    """
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        inside = subprocess.run(
            [*git, "ls-files", "--error-unmatch", __file__], capture_output=True
        )
        if inside.returncode:
            return None
        commit = subprocess.check_output(
            [*git, "rev-parse", "--short=12", "HEAD"], text=True
        ).strip()
        top = Path(subprocess.check_output([*git, "rev-parse", "--show-toplevel"], text=True)[:-1])
        git = ["git", "-C", str(top)]
        difference = subprocess.check_output([*git, "diff", "HEAD", "--binary"])
        listed = [*git, "ls-files", "-z", "--others", "--exclude-standard"]
        added = [name for name in subprocess.check_output(listed, text=True).split("\0") if name]
        for name in added:
            difference += name.encode() + (top / name).read_bytes()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + (f"+{hashlib.sha256(difference).hexdigest()[:12]}" if difference else "")
