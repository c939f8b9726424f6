"""`merec train`: a Hydra application, one job per combination of overrides."""

import contextlib
import ctypes
import io
import logging
import math
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing import current_process
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from merec.assets import cache_folder
from merec.cli.jobs import Jobs
from merec.config import refuse_unfollowed
from merec.config_check import check
from merec.config_groups import check_choices, home
from merec.config_schema import NEEDED, register
from merec.errors import InputError
from merec.forkserver import start_server
from merec.imports import importing
from merec.override_errors import explain_override
from merec.plugins import list_flags
from merec.quoting import is_readable, quote_texts
from merec.run_folder import RunFolder
from merec.run_folder.lock import open_folder
from merec.temporary_folder import own_folder
from merec.tracebacks import describe_mistake, format_traceback, tracebacks

log = logging.getLogger(__name__)

_COMMAND = tuple(sys.argv)  # of this process; while Hydra reads it, it has no verb
_DEATH_OF_PARENT = (
    1  # PR_SET_PDEATHSIG: the signal to get when the process that started this one is gone
)
_LAUNCHERS = (
    "hydra_plugins.hydra_joblib_launcher._core",
    "hydra._internal.core_plugins.basic_launcher",
)
_KEPT = {  # that no run can do without
    f"~{key}" for key in ("seed", "name", "trainer.max_epochs", *NEEDED)
}
_RANKS = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")

register()  # on import, so that a launcher's worker processes have it too


class _Refused(BaseException):
    """Carries an InputError past Hydra, which would print lines of its own about it."""

    def __init__(self, error: InputError):
        self.error = error


def train_job(cfg: DictConfig) -> None:
    """One job: check the config, run it, print its scores."""
    job = HydraConfig.get()
    folder = RunFolder(Path(job.runtime.output_dir))
    follows = False
    try:
        if OmegaConf.select(cfg, "trainer.strategy"):
            follows = _join_devices(job.mode)
        if not folder.is_whole and OmegaConf.select(cfg, "task.engine") in ("auto", "processes"):
            start_server()  # before check, which imports torch
        # Each job of a multirun is made of overrides for all of them.
        several = job.mode == RunMode.MULTIRUN
        with importing():
            check(cfg, [] if several else list_keys(job.overrides.task))
            refuse_unfollowed(cfg.corpus, job.overrides.task)
            # torch takes seconds to import; a misspelt key should not wait for it.
            from merec.reporting.result import print_result
            from merec.run import run

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


def _join_devices(mode: RunMode | None) -> bool:
    """Let Lightning give this command again for each device; only the first of these processes talks.

    Returns:
        Whether this is another one.

    Raises:
        InputError: In a multirun, which would be run as a whole on each.
    """
    if mode == RunMode.MULTIRUN:
        raise InputError(
            "trainer=ddp is for one run on several devices; give the command without -m"
        )
    sys.argv = [*_COMMAND]
    # Before torch is imported, which would warn of each network that makes use of all its weights.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    follows = any(int(os.environ.get(name, 0)) for name in _RANKS)
    if follows:
        current_process().name = "follower"  # as in a job beside others, no bars are drawn
        logging.disable()
        warnings.simplefilter("ignore")
        with contextlib.suppress(
            OSError, AttributeError
        ):  # no Linux: it waits half an hour for the others
            ctypes.CDLL("libc.so.6").prctl(_DEATH_OF_PARENT, signal.SIGKILL)
    return follows


def _start_job(cfg: DictConfig, jobs: Jobs, arguments: Sequence[str]) -> None:
    """A job; one of several says which and leaves a note of what became of it."""
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
    for name in (text.removeprefix("name=") for text in arguments if text.startswith("name=")):
        if "/" in name or "\\" in name or name in (".", ".."):
            raise InputError(
                f"name={name} is no name of one folder; leave out / and .. (hydra.run.dir sets the place)"
            )
    _refuse_arguments(arguments)
    _refuse_without_effect(arguments, is_multirun(arguments))
    check_choices(arguments)
    arguments = quote_texts(arguments, is_multirun(arguments))
    several = is_multirun(arguments)
    if {"-sc", "--shell-completion"} & {*arguments}:
        raise InputError(
            'completion is a verb of its own: eval "$(merec completion bash)", zsh or fish'
        )
    for flag in ("--cfg", "-c", "--info", "-i"):
        if several and flag in arguments:
            raise InputError(f"{flag} is about one run; give it without -m, and each key one value")
    for name in _LAUNCHERS:  # each job says itself which of how many it is
        logging.getLogger(name).setLevel(logging.WARNING)
    note = _locate_note(arguments) if several else None
    had_note = note is not None and note.exists()
    try:
        with own_folder(cache_folder() / "jobs") as notes:
            jobs = Jobs(notes)
            if {"-h", "--help"} & {*arguments}:
                page = io.StringIO()
                try:
                    with contextlib.redirect_stdout(page):
                        _launch(arguments, jobs)
                finally:  # Hydra ends the process here
                    # Parts that choices are made of are no choices, but to Hydra all files are.
                    sys.stdout.write(re.sub(r"(?<=[:,] )_\w+, ", "", page.getvalue()))
                return
            _launch(arguments, jobs)
            jobs.assert_finished()
    except _Refused as refused:
        raise refused.error from None
    except (HydraException, OmegaConfBaseException) as error:
        odd = [text for text in arguments if not is_readable(text)]
        odd = odd or [text for text in arguments if "${" in text]
        line = explain_override(error, _compose_choices(arguments), " ".join(odd))
        raise InputError(line or " ".join(str(error).split())) from error
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"{mark.name}, line {mark.line + 1}" if mark else "a file of the config"
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        raise InputError(f"{place}: this is no YAML ({reason}); mend that line") from error
    except OSError as error:
        if isinstance(error, InputError) or not error.filename:
            raise
        file = Path(error.filename)
        if file.is_symlink() and not file.exists():
            raise InputError(
                f"{file} is a link to {file.readlink()}, which is not there; mount or make that folder, or "
                "delete the link"
            ) from error
        # Hydra makes the folder of a run, and opens its log.
        raise InputError(
            f"{error.filename} cannot be made or opened ({error.strerror}); set hydra.run.dir (with -m: "
            "hydra.sweep.dir) to another folder"
        ) from error
    except RuntimeError as error:
        reason = _explain_launcher(error)
        if reason is None:
            raise
        if note and not had_note:  # Hydra's, of a sweep that was refused
            note.unlink(missing_ok=True)
            _remove_empty(note.parent)
        raise InputError(reason) from error


def _refuse_arguments(arguments: Sequence[str]) -> None:
    """Refuse what is neither an override nor a flag of Hydra, whose parser would print its usage.

    Raises:
        InputError: Naming it.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{message}; overrides are KEY=VALUE, e.g. resume=force")

    parser.error = refuse  # type: ignore[method-assign, assignment]
    if "--version" in arguments:
        return
    for text in parser.parse_args(arguments).overrides:
        key = text.partition("=")[0].partition("@")[0]
        if key in _KEPT:
            raise InputError(
                f"{text} leaves a run without {key[1:]}; choose another by {key[1:]}=…"
            )
        if not key.lstrip("+~"):
            raise InputError(f"{text} has no key; overrides are KEY=VALUE, e.g. seed=3")
        if "=" not in text and not text.startswith("~"):
            raise InputError(
                f"{text} is no override; overrides are KEY=VALUE: give {text}=… or leave it out"
            )


def _refuse_without_effect(arguments: Sequence[str], several: bool) -> None:
    """Refuse places and launchers that one run, or several, are not put by.

    Raises:
        InputError: Naming the key that counts.
    """
    if any(text.lstrip("+").startswith("hydra.mode=") for text in arguments):
        return
    for text in arguments:
        key, _, value = text.lstrip("+").partition("=")
        if key in ("hydra.run.dir", "hydra.sweep.dir") and not value.strip("'\""):
            raise InputError(f"{key}= is empty; name a folder, or leave it out")
        if several and key == "hydra.run.dir":
            raise InputError(
                f"{text} has no effect with -m, where hydra.sweep.dir=… says the place"
            )
        if not several and key in ("hydra.sweep.dir", "hydra.sweep.subdir"):
            raise InputError(f"{text} takes effect with -m only; for one run give hydra.run.dir=…")
        launcher = key == "hydra/launcher" and value != "basic"
        if not several and (launcher or key.startswith("hydra.launcher.")):
            raise InputError(f"{text} takes effect with -m only; add -m, or leave it out")


def _locate_note(arguments: Sequence[str]) -> Path:
    """Where Hydra notes the config of a sweep before it launches any job."""
    given = [text.partition("=")[2] for text in arguments if text.startswith("hydra.sweep.dir=")]
    return Path((given or ["runs"])[-1].strip("'\"")) / "multirun.yaml"


def list_keys(overrides: Sequence[str]) -> list[str]:
    """Return the dotted keys that overrides set."""
    pairs = [text.partition("=") for text in overrides]
    return [key.lstrip("+") for key, equals, _ in pairs if equals and not key.startswith("~")]


def count_values(arguments: Sequence[str]) -> dict[str, int]:
    """Return the keys that a multirun varies, with their numbers of values; it has a job per combination.

    Of several overrides of one key the last counts.
    """
    parser = OverridesParser.create()
    values: dict[str, int] = {}
    for text in arguments:
        with contextlib.suppress(HydraException, ValueError):
            override = parser.parse_override(text)
            values.pop(override.get_key_element(), None)
            if override.is_sweep_override():
                values[override.get_key_element()] = len(list(override.sweep_string_iterator()))
    return values


def is_multirun(arguments: Sequence[str]) -> bool:
    """Return whether these arguments ask for several jobs."""
    return bool({"-m", "--multirun"} & {*arguments})


def _launch(arguments: list[str], jobs: Jobs) -> None:
    """Have Hydra run the job or jobs, those that fail or are killed included.

    Raises:
        InputError: If workers are killed before a job begins.
    """
    conf = str(home() / "conf")
    sys.argv = ["merec train", *arguments]
    try:
        with _wait_for_lost_jobs(jobs) if is_multirun(arguments) else contextlib.nullcontext():
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


@contextlib.contextmanager
def _wait_for_lost_jobs(jobs: Jobs) -> Iterator[None]:
    """Have submitit's launcher wait for every job; it would leave at the first that gives no result."""
    try:
        from submitit import Job
        from submitit.core.utils import UncompletedJobError
    except ImportError:
        yield
        return
    wait = Job.results

    def wait_for_any(job: Job) -> list[JobReturn]:
        try:
            return wait(job)
        except UncompletedJobError:
            overrides, _, number, *_ = job.submission().args
            jobs.note_lost(number, " ".join(overrides), job.paths.stderr)
            return [JobReturn(status=JobStatus.COMPLETED)]

    Job.results = wait_for_any  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Job.results = wait  # type: ignore[method-assign]


def _explain_launcher(error: RuntimeError) -> str | None:
    """One line for what a launcher raises that is not there or cannot start jobs; `None` for other errors."""
    text = " ".join(str(error).split())
    if "Unknown plugin class" in text:
        return f"this launcher is not installed ({text}); pip install 'merec[cluster]'"
    if "srun" in text:
        return (
            "there is no SLURM here: srun is not found; give the command on a login node of the cluster, or "
            "take hydra/launcher=submitit_local"
        )
    if type(error).__module__.startswith("submitit."):
        return f"no job was started: {text}"
    return None


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
            return hydra.compose("config", [*choices, "~local"])  # which may be what is wrong
    except HydraException:
        return OmegaConf.create()
