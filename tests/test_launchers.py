"""Jobs of a multirun on other processes: scattered and pooled, and what is said of those that die."""

import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hydra import compose
from hydra.core.plugins import Plugins
from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf
from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf, SlurmQueueConf
from joblib.externals.loky import get_reusable_executor
from omegaconf import OmegaConf
from submitit import Job

from merec.cli.jobs import Jobs
from merec.config_groups import home
from merec.errors import InputError
from merec.evaluation.pooling import pool_runs
from merec.evaluation.runs import find_runs

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/\w+' is validated against")
SCHEMAS = {
    "joblib": JobLibLauncherConf,
    "submitit_local": LocalQueueConf,
    "submitit_slurm": SlurmQueueConf,
}

# An estimator whose process gets the signal that the file `signal` holds, once, in its second fold.
FRAIL = """
import os
from pathlib import Path
from sklearn.linear_model import LogisticRegression

class Frail(LogisticRegression):
    fits = 0

    def fit(self, *arguments):
        order = Path("signal")
        if Frail.fits == 1 and order.exists():
            number = int(order.read_text())
            order.unlink()
            os.kill(os.getpid(), number)
        Frail.fits += 1
        return super().fit(*arguments)
"""


@pytest.fixture
def baseline(small, tmp_path, monkeypatch) -> list[str]:
    """Overrides of a quick task, and an estimator `frail` for it."""
    (tmp_path / "frail.py").write_text(FRAIL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    yield [*small, "logger=none", "task=baseline", "+task.estimators.frail._target_=frail.Frail"]
    # Its workers would stay in this test's folder.
    get_reusable_executor().shutdown(wait=True)


def read_predictions(folder: Path) -> pd.DataFrame:
    (result,) = pool_runs(find_runs([folder]))
    order = ["seed", "sample_id"]
    return result.predictions.sort_values(order, ignore_index=True)


def test_each_of_our_launchers_is_written_whole_and_fits_its_plugin(composed):
    for name, schema in SCHEMAS.items():
        written = yaml.safe_load((home() / f"conf/hydra/launcher/{name}.yaml").read_text())
        assert written.keys() == OmegaConf.structured(schema).keys(), name
        cfg = compose("config", [f"hydra/launcher={name}"], return_hydra_config=True)
        launcher = cfg.hydra.launcher
        assert launcher["_target_"] in Plugins.instance().class_name_to_class
        assert {key: launcher[key] for key in ("nodes", "tasks_per_node") if key in launcher} in (
            {},
            {"nodes": 1, "tasks_per_node": 1},
        )
    cfg = compose("config", ["hydra/launcher=local"], return_hydra_config=True)
    assert cfg.hydra.launcher.n_jobs == 2


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_seeds_and_shares_of_folds_in_jobs_of_their_own_pool_to_what_one_job_gives(
    merec, tmp_path, baseline, launcher
):
    logistic = [*baseline, "task.estimator=logistic"]
    for seed in (0, 1):
        merec("train", *logistic, f"seed={seed}", f"hydra.run.dir={tmp_path}/whole/{seed}")
    scatter = [f"hydra/launcher={launcher}", "seed=0,1", "folds=1/2,2/2"]
    done = merec("train", "-m", *logistic, *scatter)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").rglob("environment.json"))) == 4
    pd.testing.assert_frame_equal(
        read_predictions(tmp_path / "runs"), read_predictions(tmp_path / "whole")
    )
    done = merec("report", "runs", "out=report")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("logistic-rgb") == 1
    assert (tmp_path / "runs/.submitit").exists() == (launcher == "submitit_local")
    assert not list((tmp_path / "cache").glob("jobs/*")), "notes of jobs are left behind"


def test_a_share_and_a_range_of_folds_have_folders_of_their_own(merec, tmp_path, small):
    # Few overrides: the name of a folder of many ends in a hash, and differs anyway.
    jobs = [*small[:4], "logger=none", "task=baseline", "task.estimator=logistic", "folds=1/4,1-4"]
    assert merec("train", "-m", *jobs).returncode == 0
    held_out = [
        sorted(int(fold.name) for fold in folder.glob("folds/*"))
        for folder in sorted({file.parent for file in tmp_path.rglob("environment.json")})
    ]
    assert held_out == [[1, 2, 3, 4], [0, 4]]  # folds-1-4, folds-1of4


@pytest.mark.slow
def test_every_job_that_fails_is_named_with_its_folder_and_reason_and_the_others_are_kept(
    merec, tmp_path, baseline
):
    choices = "task.estimator=none_such,logistic"
    done = merec("train", "-m", *baseline, choices, "folds=0,99")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    error = done.stderr[done.stderr.index("merec: error: ") :]
    first, *lines = error.strip().splitlines()
    assert first.startswith("merec: error: 3 of 4 jobs failed")
    folders = [line.strip().partition(": ")[0] for line in lines]
    assert len(set(folders)) == 3
    assert all(Path(folder).is_relative_to(tmp_path / "runs") for folder in folders)
    reasons = [line.strip().partition(": ")[2] for line in lines]
    assert [reason.startswith("task.estimator=none_such is unknown") for reason in reasons] == [
        True,
        True,
        False,
    ]
    assert "fold 99 is out of range" in reasons[2]
    (kept,) = tmp_path.rglob("environment.json")
    assert len(list(kept.parent.glob("folds/*/predictions.csv"))) == 1


def test_an_error_nobody_foresaw_is_named_too_and_its_traceback_logged(
    merec, tmp_path, baseline, monkeypatch
):
    def fail(*_):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("merec.run.run", fail)
    done = merec("train", "-m", *baseline, "seed=0,1")
    assert done.returncode == 2
    assert "2 of 2 jobs failed" in done.stderr
    assert done.stderr.count("seed-1: ZeroDivisionError: of all things (") >= 1
    assert "Traceback" not in done.stderr
    logs = list(tmp_path.rglob("train.log"))
    assert len(logs) == 2
    assert all("in fail\n    raise ZeroDivisionError" in file.read_text() for file in logs)


def find_folds(folder: Path) -> dict[Path, int]:
    """Return when each finished fold was written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("folds/*/predictions.csv")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "most"),
    [("local", 2), ("submitit_local", 1)],  # joblib stops what runs beside it
)
def test_a_job_that_was_killed_is_named_the_others_finish_and_the_same_command_goes_on(
    merec, tmp_path, baseline, launcher, most, monkeypatch
):
    monkeypatch.setattr(Job, "_results_timeout_s", 1)
    (tmp_path / "signal").write_text(f"{int(signal.SIGKILL)}")
    choices = "task.estimator=frail,logistic,rbf_svm,rbf_svm_nested"
    command = ["train", "-m", *baseline, f"hydra/launcher={launcher}", choices]
    done = merec(*command)
    assert done.returncode == 2
    error = done.stderr[done.stderr.index("merec: error: ") :]
    first, *lines = error.strip().splitlines()
    assert first.startswith(f"merec: error: {len(lines)} of 4 jobs failed")
    assert len(lines) <= most
    runs = tmp_path / "runs/megc2019_flow/baseline"
    assert f"{runs}/frail-rgb" in lines[0]
    assert all("seed-0: it was killed while it ran" in line for line in lines)
    if launcher == "submitit_local":
        assert Path(lines[0].rpartition("; see ")[2]).is_file()
    finished = find_folds(runs)
    of_the_frail = [file for file in finished if "frail-rgb" in file.parts]
    assert len(of_the_frail) == 1
    # A job may have ended in the moment the worker beside it died: joblib calls it killed as well.
    assert len(list(runs.rglob("metrics.json"))) >= 4 - len(lines)

    done = merec(*command)
    assert done.returncode == 0, done.stderr
    after = find_folds(runs)
    assert len(after) == 4 * 6
    assert {file: after[file] for file in finished} == finished


@pytest.mark.slow
def test_a_job_that_the_cluster_interrupts_goes_back_into_the_queue_and_goes_on(
    merec, tmp_path, baseline
):
    (tmp_path / "signal").write_text(f"{int(signal.SIGUSR2)}")
    done = merec(
        "train", "-m", *baseline, "hydra/launcher=submitit_local", "task.estimator=frail", "seed=0"
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "signal").exists()
    assert len(find_folds(tmp_path / "runs")) == 6
    (predicted,) = (tmp_path / "runs/.submitit").glob("*/*_log.err")
    assert "1 of 6 folds are finished already" in predicted.read_text()


@pytest.mark.slow
def test_a_worker_that_is_killed_before_its_job_begins_is_one_line(merec, baseline, monkeypatch):
    def die(cfg, jobs):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("merec.cli.train._start_job", die)
    done = merec("train", "-m", *baseline, "hydra/launcher=local", "seed=0")
    assert done.returncode == 2
    assert "a worker process was killed before its job began" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("launcher", ["submitit_local", "submitit_slurm"])
def test_a_launcher_that_is_not_installed_says_what_to_install(
    merec, baseline, launcher, monkeypatch
):
    kind = "LocalLauncher" if launcher == "submitit_local" else "SlurmLauncher"
    recorded = Plugins.instance().class_name_to_class
    monkeypatch.delitem(recorded, f"hydra_plugins.hydra_submitit_launcher.submitit_launcher.{kind}")
    done = merec("train", "-m", *baseline, f"hydra/launcher={launcher}", "seed=0")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert "pip install 'merec[cluster]'" in line


def make_program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_slurm_is_asked_for_one_gpu_a_job_and_a_place_in_the_queue_again(
    merec, tmp_path, baseline, monkeypatch
):
    programs = tmp_path / "programs"
    make_program(programs, "srun", "exit 0")
    make_program(
        programs, "sbatch", f"cp $1 {tmp_path}/asked; echo 'sbatch: no such partition' >&2; exit 1"
    )
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    slurm = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "seed=0,1,2"]
    done = merec("train", "-m", *baseline, *slurm)
    assert done.returncode == 2
    assert "merec: error: no job was started: sbatch: no such partition" in done.stderr
    asked = (tmp_path / "asked").read_text()
    for line in (
        "--partition=gpu",
        "--gpus-per-node=1",
        "--ntasks-per-node=1",
        "--array=0-2%3",
        "--requeue",
    ):
        assert f"#SBATCH {line}\n" in asked
    assert "--account" not in asked
    assert "#SBATCH --signal=USR2@" in asked


def test_slurm_that_is_not_there_is_one_line_with_the_remedy(
    merec, baseline, monkeypatch, tmp_path
):
    monkeypatch.setattr("shutil.which", lambda _: None)
    done = merec("train", "-m", *baseline, "hydra/launcher=submitit_slurm", "seed=0")
    assert done.returncode == 2
    assert "merec: error: there is no SLURM here" in done.stderr
    assert "take hydra/launcher=submitit_local" in done.stderr
    assert not (tmp_path / "runs").exists(), "nothing is left of a sweep that was refused"


def test_a_note_says_killed_until_its_job_has_ended_and_a_job_may_begin_again(tmp_path):
    jobs = Jobs(tmp_path)
    with jobs.note(3, Path("here")):
        with pytest.raises(InputError, match=r"1 of 1 jobs failed.*\n  here: it was killed"):
            jobs.assert_finished()
        assert jobs.find_begun().begun == {3}
    jobs.assert_finished()
    with jobs.note(3, Path("here")):
        raise KeyError("again")
    with pytest.raises(
        InputError,
        match=r"\n  here: KeyError: 'again' \(.*test_launchers.py:\d+, in test_.*train\.log$",
    ):
        jobs.assert_finished()


def test_a_job_lost_by_its_launcher_is_noted_with_its_log(tmp_path):
    jobs = Jobs(tmp_path)
    with jobs.note(0, Path("here")):
        jobs.note_lost(0, "a=1", Path("log.err"))
        jobs.note_lost(1, "a=2", Path("other.err"))
        assert len(json.loads((tmp_path / "0.json").read_text())) == 2
        with pytest.raises(InputError) as caught:
            jobs.assert_finished()
    assert str(caught.value).splitlines()[1:] == [
        "  here: it was killed while it ran (out of memory?); see log.err",
        "  a=2: it was killed before it began; see other.err",
    ]
