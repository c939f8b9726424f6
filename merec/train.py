"""`merec train`: a Hydra application, one job per combination of overrides."""

import contextlib
import logging
import os
import sys
from multiprocessing import current_process
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from merec.config import check, explain_override, home, register
from merec.errors import InputError

log = logging.getLogger(__name__)

register()  # on import, so that a launcher's worker processes have it too


class _Refused(BaseException):
    """Carries an InputError past Hydra, which would print lines of its own about it."""

    def __init__(self, error: InputError):
        self.error = error


def train_job(cfg: DictConfig) -> None:
    """One job: check the config, run it, print its scores."""
    job = HydraConfig.get()
    folder = Path(job.runtime.output_dir)
    try:
        check(cfg)
        # torch takes seconds to import; a misspelt key should not wait for it.
        from merec.reporting.result import print_result
        from merec.run import run

        if (
            current_process().name != "MainProcess"
        ):  # one of several jobs at once: its log lines say which
            current_process().name = str(cfg.name)
        result = run(cfg, folder, ["merec", "train", *job.overrides.task])
        if result is not None:
            print_result(result)
    except SystemExit as stop:
        # Lightning's way to end on Ctrl-C and, without a code, on the SIGTERM of a cluster's scheduler.
        raise KeyboardInterrupt(143 if stop.code is None else 130) from None
    except InputError as error:
        if job.mode == RunMode.MULTIRUN:  # the other jobs go on; Hydra raises the first at the end
            log.error("%s: %s", folder, error)
            raise
        _remove_empty(folder)
        raise _Refused(error) from error


def _remove_empty(folder: Path) -> None:
    """Take back the folders that Hydra made for a run that was refused."""
    with contextlib.suppress(OSError):  # not empty: something was there or was trained
        folder.rmdir()
        for parent in folder.parents:
            if Path.cwd() in parent.parents:
                parent.rmdir()


def train(arguments: list[str]) -> None:
    """Compose the config and run the job, or with `-m` several.

    Raises:
        InputError: If the overrides, the config or the data are wrong; with `-m` after all other jobs ran.
    """
    os.environ["MEREC_HOME"] = str(home())
    sys.argv = ["merec train", *arguments]
    conf = str(home() / "conf")
    try:
        hydra.main(version_base="1.3", config_path=conf, config_name="config")(train_job)()
    except _Refused as refused:
        raise refused.error from None
    except (HydraException, OmegaConfBaseException) as error:
        line = explain_override(error, _compose_choices(arguments)) or " ".join(str(error).split())
        raise InputError(line) from error


def _compose_choices(arguments: list[str]) -> DictConfig:
    """The config of the chosen groups alone, or an empty one if the choices are what is wrong."""
    conf = home() / "conf"
    # Of several choices (a multirun) the first stands for all.
    pairs = [text.partition("=") for text in arguments]
    choices = [
        f"{group}={options.partition(',')[0]}"
        for group, equals, options in pairs
        if equals and (conf / group).is_dir()
    ]
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf), version_base="1.3"):
            return hydra.compose("config", choices)
    except HydraException:
        return OmegaConf.create()
