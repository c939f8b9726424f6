"""Output of a multirun while it runs."""

import re

import pytest

from merec.cli.jobs import Jobs
from merec.cli.train_arguments import count_values


@pytest.fixture
def sweep(small, monkeypatch, tmp_path) -> list[str]:
    monkeypatch.setenv("MEREC_CACHE", str(tmp_path / "cache"))
    return [*small, "logger=none", "task=baseline", "task.estimator=logistic"]


@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.slow)])
def test_each_job_says_its_number_and_what_varies_and_no_launcher_speaks(merec, sweep, launcher):
    done = merec("train", "-m", *sweep, "folds=0,1,2", f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    for number in range(3):
        assert f"job {number + 1} of 3: folds={number}" in done.stderr
    assert "Joblib" not in done.stdout + done.stderr
    assert "Launching" not in done.stdout + done.stderr
    if launcher == "basic":
        assert done.stderr.count("left for all") == 2  # not known before one has ended


def test_the_number_of_jobs_is_the_product_of_the_values():
    arguments = [
        "-m",
        "seed=0,1",
        "folds=1/2,2/2",
        "remark='a,b'",
        "backbone=ststnet",
        "fold=range(3)",
    ]
    assert count_values(arguments) == {"seed": 2, "folds": 2, "fold": 3}
    assert count_values([*arguments, "seed=1", "fold=0,1"]) == {"folds": 2, "fold": 2}


@pytest.mark.slow
def test_jobs_that_a_study_sweeps_are_counted_unless_the_command_says_otherwise(merec, sweep):
    study = [*sweep[:-1], "experiments=megc2019_baselines", "folds=0"]  # it sweeps four estimators
    for more, total in ([], 4), (["task.estimator=logistic,rbf_svm"], 2):
        done = merec("train", "-m", *study, *more)
        assert done.returncode == 0, done.stderr
        assert re.findall(r"job (\d) of (\d): .*logistic", done.stderr)[0] == ("1", str(total))
        assert len(re.findall(rf"job \d of {total}: ", done.stderr)) == total


def test_the_time_left_is_that_of_the_jobs_that_have_not_ended(tmp_path, caplog):
    import time

    jobs = Jobs(tmp_path, total=6, varied=("seed",), started=time.time() - 120)
    for number in range(2):
        with jobs.note(number, tmp_path):
            pass
    with caplog.at_level("INFO"):
        jobs.announce(2, ["seed=2", "task=loso"])
    assert caplog.messages == ["job 3 of 6: seed=2; about 4 min left for all"]


def test_the_config_of_a_multirun_cannot_be_shown_and_one_line_says_so(merec, tmp_path):
    done = merec("train", "-m", "seed=0,1", "--cfg", "job")
    assert done.returncode == 2
    assert (
        done.stderr
        == "merec: error: --cfg is about one run; give it without -m, and each key one value\n"
    )
    assert list(tmp_path.iterdir()) == []
