"""`merec train`: a Hydra application, one job per combination of overrides."""

import contextlib
import io
import logging
import math
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing import current_process
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from merec.assets import cache_folder
from merec.cli.devices import join_devices
from merec.cli.jobs import Jobs
from merec.cli.launchers import LAUNCHERS, explain_launcher, wait_for_lost_jobs
from merec.cli.train_arguments import (
    check_arguments,
    count_values,
    is_multirun,
    list_keys,
    locate_note,
)
from merec.cli.train_errors import explaining
from merec.config import refuse_unfollowed
from merec.config_check import check
from merec.config_groups import home
from merec.config_schema import register
from merec.errors import InputError
from merec.forkserver import start_server
from merec.imports import importing
from merec.plugins import list_flags
from merec.run_folder import RunFolder
from merec.run_folder.lock import open_folder
from merec.temporary_folder import own_folder
from merec.tracebacks import describe_mistake, format_traceback, tracebacks

log = logging.getLogger(__name__)

register()  # on import, so that a launcher's worker processes have it too


class _Refused(BaseException):
    """Exception that carries an InputError through Hydra, which would print additional lines."""

    def __init__(self, error: InputError):
        self.error = error


def train_job(cfg: DictConfig) -> None:
    """Check the config of a job, run it and print its scores."""
    job = HydraConfig.get()
    folder = RunFolder(Path(job.runtime.output_dir))
    follows = False
    try:
        if OmegaConf.select(cfg, "trainer.strategy"):
            follows = join_devices(job.mode)
        if not folder.is_whole and OmegaConf.select(cfg, "task.engine") in ("auto", "processes"):
            start_server()  # before check, which imports torch
        # Each job of a multirun is made of overrides for all of them.
        several = job.mode == RunMode.MULTIRUN
        with importing():
            given = [] if several else list_keys(job.overrides.task)
            check(cfg, given)
            refuse_unfollowed(cfg.corpus, job.overrides.task)
            # torch takes seconds to import; a misspelt key should not wait for it.
            from merec.reporting.result import print_result
            from merec.representation_check import check_heeded
            from merec.run import run

            check_heeded(cfg, given)

        if (
            current_process().name != "MainProcess"
        ):  # one of several jobs at once: its log lines say which
            current_process().name = str(cfg.name)
        command = ["merec", "train", *list_flags(), *job.overrides.task]
        with contextlib.nullcontext() if follows else open_folder(folder, command):
            result = run(cfg, folder, command)
        if result is not None:
            print_result(result)
    except SystemExit as stop:
        # Lightning's way to end on Ctrl-C and, without a code, on the SIGTERM of a cluster's scheduler.
        # Other codes are submitit's, which puts the job back into the queue.
        if follows or stop.code not in (None, 1):
            raise
        raise KeyboardInterrupt(143 if stop.code is None else 130) from None
    except Exception as error:
        if job.mode == RunMode.MULTIRUN:  # noted, and the other jobs go on
            raise
        if isinstance(error, InputError):
            _remove_empty(folder.path)
            raise _Refused(error) from error
        tracebacks.error("%s", format_traceback(error))
        reason = f"{describe_mistake(error)}; its traceback is in {folder.log}"
        raise _Refused(InputError(reason)) from error


def _start_job(cfg: DictConfig, jobs: Jobs, arguments: Sequence[str]) -> None:
    """Run a job; in a multirun, log its number and write a note of its outcome."""
    hydra_ = HydraConfig.get()
    if hydra_.mode != RunMode.MULTIRUN:
        train_job(cfg)
    elif hydra_.job.num not in jobs.begun:
        swept = (f"{key}={values}" for key, values in (hydra_.sweeper.params or {}).items())
        values = count_values([*swept, *arguments])  # a study may sweep, too
        jobs = replace(jobs, total=math.prod(values.values()), varied=(*values,))
        jobs.announce(hydra_.job.num, hydra_.overrides.task)
        with jobs.note(hydra_.job.num, Path(hydra_.runtime.output_dir)):
            train_job(cfg)


def _remove_empty(folder: Path) -> None:
    """Delete the empty folders that Hydra made for a run that was refused."""
    with contextlib.suppress(OSError):  # not empty: something was there or was trained
        folder.rmdir()
        for parent in folder.parents:
            if Path.cwd() in parent.parents:
                parent.rmdir()


def train(arguments: list[str]) -> None:
    """Compose the config and run the job, or several jobs with `-m`.

    Raises:
        InputError: If the overrides, the config or the data are wrong; with `-m` after all other jobs ran.
    """
    os.environ["MEREC_HOME"] = str(home())
    arguments = check_arguments(arguments)
    for name in LAUNCHERS:  # each job says itself which of how many it is
        logging.getLogger(name).setLevel(logging.WARNING)
    note = locate_note(arguments) if is_multirun(arguments) else None
    had_note = note is not None and note.exists()
    try:
        with explaining(arguments), own_folder(cache_folder() / "jobs") as notes:
            _run_jobs(arguments, Jobs(notes))
    except _Refused as refused:
        raise refused.error from None
    except RuntimeError as error:
        reason = explain_launcher(error)
        if reason is None:
            raise
        if note and not had_note:  # Hydra's, of a sweep that was refused
            note.unlink(missing_ok=True)
            _remove_empty(note.parent)
        raise InputError(reason) from error


def _run_jobs(arguments: list[str], jobs: Jobs) -> None:
    if not {"-h", "--help"} & {*arguments}:
        _launch(arguments, jobs)
        jobs.assert_finished()
        return
    page = io.StringIO()
    try:
        with contextlib.redirect_stdout(page):
            _launch(arguments, jobs)
    finally:  # Hydra ends the process here
        # Parts that choices are made of are no choices, but to Hydra all files are.
        sys.stdout.write(re.sub(r"(?<=[:,] )_\w+, ", "", page.getvalue()))


def _launch(arguments: list[str], jobs: Jobs) -> None:
    """Let Hydra run the jobs, including jobs that fail or are killed.

    Raises:
        InputError: If workers are killed before a job begins.
    """
    conf = str(home() / "conf")
    sys.argv = ["merec train", *arguments]
    try:
        with wait_for_lost_jobs(jobs) if is_multirun(arguments) else contextlib.nullcontext():
            hydra.main(version_base="1.3", config_path=conf, config_name="config")(
                partial(_start_job, jobs=jobs, arguments=arguments)
            )()
    except BrokenProcessPool as error:
        # joblib has stopped the jobs that ran beside the one that was killed, and begins no other.
        later = jobs.find_begun()
        if later == jobs:
            raise InputError(
                "a worker process was killed before its job began (out of memory?); lower "
                "hydra.launcher.n_jobs and give the command again"
            ) from error
        log.warning("a worker process was killed (out of memory?); the jobs that wait go on")
        _launch(arguments, later)
