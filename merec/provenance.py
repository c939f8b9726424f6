"""What a run was made of, and whether a folder may go on with it."""

import json
import logging
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from merec.config import comparable, configuration_hash
from merec.evaluation.runs import flatten
from merec.types import InputError, Protocol

log = logging.getLogger(__name__)

PACKAGES = ("torch", "pytorch-lightning", "numpy", "pandas", "scikit-learn", "hydra-core", "wandb")


def assert_resumable(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a folder in which a run of another config was begun.

    Raises:
        InputError: Naming the folder and what differs.
    """
    file = folder / "config.yaml"
    if not file.exists():
        return
    before = flatten(comparable(yaml.safe_load(file.read_text(encoding="utf-8"))))
    now = flatten(comparable(config))
    changed = [
        f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise InputError(
            f"{folder} holds a run of another config ({'; '.join(changed[:3])}{more}); set hydra.run.dir "
            "to another folder, or delete this one"
        )


def assert_same_samples(folder: Path, protocol: Protocol) -> None:
    """Refuse to go on with a run that was begun on other samples.

    Raises:
        InputError: Naming both protocols.
    """
    file = folder / "environment.json"
    if not file.exists():
        return
    before = Protocol.from_dict(json.loads(file.read_text())["protocol"])
    if before != protocol:
        raise InputError(
            f"{folder} was begun on {before.name} ({before.samples} samples, {before.hash}), but the "
            f"corpus now is {protocol.name} ({protocol.samples} samples, {protocol.hash}); set "
            "hydra.run.dir to another folder"
        )


def describe_environment(
    folder: Path, config: dict[str, Any], protocol: Protocol, command: str
) -> dict[str, Any]:
    """Name, protocol, command, commit, versions and machine of a run.

    A run that was begun at another commit and is completed now names both.
    """
    file = folder / "environment.json"
    before = json.loads(file.read_text()).get("commit") if file.exists() else None
    commit = _read_commit()
    if before and commit and commit not in before.split(", "):
        log.warning("%s was begun at commit %s and goes on at %s", folder, before, commit)
        commit = f"{before}, {commit}"
    return {
        "name": config["name"],
        "configuration": configuration_hash(config),
        "protocol": protocol.to_dict(),
        "command": command,
        "commit": commit,
        "transductive": bool(config["task"].get("transductive", False)),
        "versions": {"python": platform.python_version(), "merec": version("merec")}
        | {name: version(name) for name in PACKAGES},
        "machine": {
            "system": platform.system(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def _read_commit() -> str | None:
    """The commit of the checkout that runs, with `+` if it was changed; `None` when installed."""
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
        changed = subprocess.check_output(
            [*git, "status", "--porcelain", "--untracked-files=no"], text=True
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changed else "")
