"""Calibration of a network by held-out predictions of networks with the same settings."""

from pathlib import Path

import numpy as np

from merec.evaluation.pooling import pool_runs
from merec.evaluation.reliability import fit_temperature, read_probability
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.reporting.prediction import Calibration
from merec.restore import Network
from merec.run_folder import RunFolder
from merec.run_folder.identity import flatten, shared_settings
from merec.run_folder.resolved_config import find_node
from merec.types import InputError


def calibrate(network: Network, folder: Path | None) -> Calibration | None:
    """Fit a temperature to held-out predictions of networks with the same settings; `None` if there are none.

    Raises:
        InputError: If the named run is incomplete, or belongs to another network.
    """
    if network.target.multilabel:
        if folder is not None:
            raise InputError(
                f"calibration={folder}: {network.file} tells action units, which are not calibrated; leave "
                "calibration out"
            )
        return None
    if folder is None:
        for near in (network.file.absolute().parent, *network.file.absolute().parents[2:3]):
            if RunFolder(near).is_whole and RunFolder(near).environment.exists():
                folder = near
                break
        else:
            return None
    results = pool_runs(find_runs([folder]))
    if len(results) > 1:
        names = ", ".join(result.name for result in results)
        raise InputError(f"calibration={folder} holds several results ({names}); give one of them")
    (result,) = results
    _assert_alike(network, result, folder)
    probability, label = read_probability(result.predictions, network.target.classes)
    with np.errstate(divide="ignore"):
        temperature = fit_temperature(np.log(probability), label)
    theirs, ours = (
        flatten(_describe(config)) for config in (result.runs[0].config, network.config)
    )
    unlike = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
    seeds = result.score_seeds()
    scores = {name: float(np.mean(seeds[name])) for name in network.target.metrics_of_decisions}
    return Calibration(str(folder), temperature, len(label), unlike, scores)


def _assert_alike(network: Network, result: Result, folder: Path) -> None:
    """Refuse predictions of a network with other settings."""
    if result.protocol.classes != network.target.classes:
        raise InputError(
            f"calibration={folder} has classes {', '.join(result.protocol.classes)}, but {network.file} "
            f"{', '.join(network.target.classes)}; give a run of the same network and classes"
        )
    config = result.runs[0].config
    theirs, ours = (
        [
            str(find_node(settings, "backbone._target_")).rpartition(".")[2],
            str(find_node(settings, "datamodule.modality")),
            str(find_node(settings, "datamodule.representation")),
        ]
        for settings in (config, network.config)
    )
    if str(find_node(config, "task._target_")).endswith(".Baseline"):
        theirs[0] = "a baseline"
    if theirs != ours:
        raise InputError(
            f"calibration={folder} is of {' '.join(theirs)}, but {network.file} of {' '.join(ours)}; give a "
            "finished run of the same network: merec train task=loso …"
        )


def _describe(config: dict) -> dict:
    """Return all settings that affect a network, except the task in which it was trained."""
    shared = shared_settings(config)
    kept = ("backbone", "datamodule", "finetune", "trainer", "pretrain", "freeze")
    return {key: shared[key] for key in kept if key in shared}
