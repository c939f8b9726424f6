"""Runs of one dashboard: runs of one project that were logged to W&B."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merec.evaluation.runs import Run
from merec.run_folder.identity import flatten, shared_settings
from merec.run_folder.logged_keys import Keys, Tracked, join_keys
from merec.types import InputError

log = logging.getLogger(__name__)

MOST_VARIED = 4  # settings that get an axis besides the choices


@dataclass(frozen=True)
class Sweep:
    """Runs of one dashboard.

    Attributes:
        runs: Run folders.
        tracked: Record of the logged keys of each run.
    """

    runs: list[Run]
    tracked: list[Tracked]

    @property
    def project(self) -> str:
        """W&B project of all runs."""
        return str(self.tracked[0].project)

    @property
    def entity(self) -> str:
        """Owner of the project; empty if no run names one (then the user who syncs)."""
        return next((tracked.entity for tracked in self.tracked if tracked.entity), "")

    @property
    def groups(self) -> list[str]:
        """W&B groups, sorted."""
        return sorted({tracked.group for tracked in self.tracked if tracked.group})

    @property
    def keys(self) -> Keys:
        """Keys that were logged by any run."""
        return join_keys(tracked.keys for tracked in self.tracked)

    @property
    def online(self) -> bool:
        """True if all runs were logged online."""
        return all(tracked.local is None for tracked in self.tracked)

    @property
    def local(self) -> list[Path]:
        """Folders of offline runs that are not synced yet."""
        pairs = zip(self.runs, self.tracked, strict=True)
        folders = [run.folder.path / tracked.local for run, tracked in pairs if tracked.local]
        return [
            folder for folder in folders if folder.exists() and not any(folder.glob("*.synced"))
        ]


def find_sweep(runs: Sequence[Run]) -> Sweep:
    """Return the runs that were logged to W&B, with their logged keys.

    Other runs are skipped with a warning, unless the user named them.

    Raises:
        InputError: If a named run was not logged, if no run at all was logged, or if the runs belong to
            different W&B projects.
    """
    kept: list[tuple[Run, Tracked]] = []
    missed: list[str] = []
    for run in runs:
        tracked = run.folder.read_tracked()
        if tracked is not None and tracked.project and tracked.keys.scores:
            kept.append((run, tracked))
            continue
        reason = _explain_silence(run, tracked)
        if run.named:
            raise InputError(reason)
        missed.append(reason)
    if not kept:
        raise InputError(missed[0])
    for reason in missed:
        log.warning("passed over: %s", reason)
    sweep = Sweep([run for run, _ in kept], [tracked for _, tracked in kept])
    _assert_one_project(sweep)
    return sweep


def _explain_silence(run: Run, tracked: Tracked | None) -> str:
    """Explain why a run has no logged keys, and the remedy."""
    again = "nothing is trained again, it is only logged"
    held_out = run.predictions["subject"].nunique()
    if held_out < run.protocol.subjects:
        return (
            f"{run.folder} holds out {held_out} of {run.protocol.subjects} subjects, but W&B is told of "
            "whole runs only; `merec report` pools the others"
        )
    if tracked is None or not tracked.logger.endswith("WandbLogger"):
        logger = (
            f"logged by {tracked.logger}, not by W&B" if tracked else "trained with logger=none"
        )
        return (
            f"{run.folder} was {logger}, so W&B holds nothing of it; give its command again with "
            f"logger=wandb: {again}"
        )
    return (
        f"{run.folder} has no record of what W&B was told (an earlier merec, or logger.mode=disabled); "
        f"delete {run.folder.tracked} and give its command with logger=wandb: {again}"
    )


def _assert_one_project(sweep: Sweep) -> None:
    """Refuse runs of several projects; an offline run without owner is compatible with any owner."""
    places: dict[str, Path] = {}
    for run, tracked in zip(sweep.runs, sweep.tracked, strict=True):
        places.setdefault(f"{tracked.entity or sweep.entity}/{tracked.project}", run.folder.path)
    if len(places) > 1:
        places_text = "; ".join(
            f"{place.strip('/')} ({folder})" for place, folder in places.items()
        )
        raise InputError(
            f"these runs are of {len(places)} W&B projects: {places_text}; a dashboard is of one: give the "
            "runs of one of them"
        )


def find_varied(runs: Sequence[Run]) -> list[str]:
    """Return the dotted settings that differ between runs of one name, besides the choices.

    Settings of the task come before settings of its parts; at most `MOST_VARIED` are returned.
    """
    by_name: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        settings = flatten(shared_settings(run.config))
        by_name.setdefault(run.environment["name"], []).append(settings)
    varied: dict[str, None] = {}
    for same in by_name.values():
        for key, value in same[0].items():
            plain = value is None or isinstance(value, str | int | float)
            if plain and any(other.get(key) != value for other in same[1:]):
                varied[f"task.{key}"] = None
    return sorted(varied, key=lambda key: key.count("."))[:MOST_VARIED]
