"""What a run was made of, and whether a folder may go on with it."""

import hashlib
import logging
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

from merec.config_identity import comparable, configuration_hash, flatten
from merec.datamodules import ClipDataModule
from merec.evaluation.runs import list_sessions
from merec.features.prepare import POOL_MAKERS
from merec.features.sample import list_makers
from merec.files import write_json
from merec.run_files import read_config, read_environment
from merec.source_code import COUNTED_BY_CONTENT, Sources, hash_sources, is_own, name_changed
from merec.types import InputError, Protocol

log = logging.getLogger(__name__)

PACKAGES = ("torch", "pytorch-lightning", "numpy", "pandas", "scikit-learn", "hydra-core", "wandb")


def assert_resumable(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a folder in which a run of another config was begun.

    Raises:
        InputError: Naming the folder and what differs.
    """
    file = folder / "config.yaml"
    if not file.exists() or not _has_results(folder):
        return
    before = flatten(comparable(read_config(folder)))
    now = flatten(comparable(config))
    changed = [
        f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise InputError(
            f"{folder} holds a run of another config ({'; '.join(changed[:3])}{more}); {_ELSEWHERE}"
        )


def assert_same_data(folder: Path, environment: dict[str, Any]) -> None:
    """Refuse to go on with a run that was begun on other samples, features or starting weights.

    Raises:
        InputError: Naming both.
    """
    file = folder / "environment.json"
    if not _has_results(folder) or not file.exists():
        return
    before = read_environment(folder)
    old, new = (Protocol.from_dict(e["protocol"]) for e in (before, environment))
    if old != new:
        raise InputError(
            f"{folder} was begun on {old.name} ({old.samples} samples, {old.hash}), but the "
            f"corpus now is {new.name} ({new.samples} samples, {new.hash}); {_ELSEWHERE}"
        )
    if before.get("content", environment["content"]) != environment["content"]:
        raise InputError(
            f"{folder} was begun on the same samples with other features or starting weights "
            f"({before['content']}, now {environment['content']}); {_ELSEWHERE}"
        )


def assert_same_code(folder: Path, environment: dict[str, Any], resume: str) -> None:
    """Refuse to go on with a run whose results were computed by other code.

    Args:
        folder: The run folder.
        environment: Of the command that is given now, see `describe_environment`.
        resume: `same` to refuse, `force` to go on all the same.

    Raises:
        InputError: Naming the files that changed and the choice.
    """
    if resume not in ("same", "force"):
        raise InputError(f"resume={resume} is unknown; choose same or force")
    file = folder / "environment.json"
    if not _has_results(folder) or not file.exists():
        return
    before = list_sessions(read_environment(folder))[-1].get("code")
    now = environment["code"]
    if before == now:
        return
    if before is None:
        found = "was made by a merec that did not record the code of its results"
    else:
        found = f"holds results of other code: {name_changed(before, now)} changed since they were computed"
    if resume == "force":
        log.warning("%s %s; resume=force keeps them", folder, found)
        return
    raise InputError(
        f"{folder} {found}; {_ELSEWHERE}, or set resume=force to keep them and train what is missing by "
        "the code of today, which every table then says"
    )


_ELSEWHERE = "set hydra.run.dir (with -m: hydra.sweep.dir) to another folder, or delete this one"


def _has_results(folder: Path) -> bool:
    """Whether anything was trained there that must not be mixed with something else."""
    return any(folder.glob("folds/*/predictions.csv")) or (folder / "checkpoint.ckpt").exists()


def describe_environment(
    config: dict[str, Any],
    data: Sequence[ClipDataModule],
    command: Sequence[str],
    protocol: Protocol,
) -> dict[str, Any]:
    """Describe what a run is made of: hashes, protocol, command, commit, code, versions and machine.

    Args:
        config: The resolved config.
        data: The samples, then those that are pretrained on, if any.
        command: The command line.
        protocol: Of what is predicted.
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
    """Hash the code that decides what a run predicts: backbone, task, target and feature stages.

    Of the corpus and the feature store only what comes out counts, see `_hash_content`.

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
        if "onset" in samples.corpus.index:  # it has frames, of which features are made
            roots |= {*list_makers(samples.representation)}
    if config["task"].get("pretrain") == "contrastive":
        roots |= {*POOL_MAKERS}
    found = hash_sources(roots, (*COUNTED_BY_CONTENT, "merec.features.sample"))
    return found._replace(files=found.files | files)


def _list_texts(node: Any) -> Iterator[str]:
    """Each text in a task's node but for its corpus, its features and the weights, whose content counts."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for each in node:
            yield from _list_texts(each)
    elif isinstance(node, Mapping):
        for key, child in node.items():
            if key not in ("corpus", "features", "weights", "estimators", "describe", "_target_"):
                yield from _list_texts(child)


def _list_targets(node: Any) -> Iterator[str]:
    """Each `_target_` that a task's node would build; of several estimators that of the chosen one."""
    if isinstance(node, list):
        for each in node:
            yield from _list_targets(each)
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


_DECIDES = ("commit", "code", "versions", "machine")


def write_environment(folder: Path, environment: dict[str, Any]) -> None:
    """Write `environment.json`; of a run that goes on, keep what it was begun with and add what is new."""
    file = folder / "environment.json"
    if file.exists() and _has_results(folder):
        before = read_environment(folder)
        now = {key: environment[key] for key in _DECIDES}
        if now != {key: list_sessions(before)[-1].get(key) for key in _DECIDES}:
            log.warning("%s was begun by other code, libraries or on another machine", folder)
            before["resumed"] = [*before.get("resumed", []), now]
        environment = before
    write_json(file, environment)


def _hash_content(data: Sequence[ClipDataModule], weights: str | None) -> str:
    """A hash of what the ids of a protocol do not show: features, and weights that are started from."""
    digest = hashlib.sha256()
    for samples in data:
        digest.update(",".join(samples.corpus.channels).encode())
        # Of what is pretrained on, whose samples they are and what they show stand in no protocol of the run.
        digest.update(samples.corpus.protocol.hash.encode())
        for array in samples.arrays:
            for (
                row
            ) in samples.sample_id.argsort():  # one by one, for all of them may take gigabytes
                digest.update(np.ascontiguousarray(array[row]).data)
    if weights and Path(weights).is_file():
        digest.update(Path(weights).read_bytes())
    return digest.hexdigest()[:16]


def _read_commit() -> str | None:
    """Read the commit of the checkout that runs; `None` when installed.

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
