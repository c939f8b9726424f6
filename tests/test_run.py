"""A run from config to scores: what its folder holds, and that a broken-off one is completed, not redone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import f1_score, recall_score

from merec.evaluation.pooling import pool_runs
from merec.evaluation.runs import find_runs


def only_run(folder: Path) -> Path:
    (actual,) = folder.rglob("environment.json")
    return actual.parent


def read(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "predictions.csv", dtype={"subject": str, "sample_id": str})


def test_a_run_folder_holds_what_the_report_needs_and_its_scores_follow_from_its_predictions(
    merec, tmp_path, small
):
    done = merec("train", *small, "logger=csv")
    assert done.returncode == 0, done.stderr
    assert "Full" not in done.stdout.split("CASME II")[0] or "UF1" in done.stdout
    folder = only_run(tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert {
        "config.yaml",
        "environment.json",
        "metrics.json",
        "predictions.csv",
        "folds",
        "csv",
    } <= names
    assert not list(tmp_path.rglob("*.part*"))

    table, metrics = read(folder), json.loads((folder / "metrics.json").read_text())
    assert table["sample_id"].is_unique
    assert len(table) == 30
    truth = table["label"], table["predicted"]
    full = metrics["scores"]["Full"]
    assert full["uf1"]["value"] == pytest.approx(f1_score(*truth, average="macro"))
    assert full["uar"]["value"] == pytest.approx(recall_score(*truth, average="macro"))
    assert full["uf1"]["low"] <= full["uf1"]["value"] <= full["uf1"]["high"]
    assert set(metrics["scores"]) == {"Full", "casme2", "smic", "samm"}
    assert np.allclose(table.filter(like="p_").sum(axis=1), 1)

    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 3  # resolved, not ${…}
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["protocol"]["samples"] == 30
    assert environment["versions"]["torch"]
    assert environment["command"].startswith("merec train ")
    checkpoint = torch.load(folder / "folds/000/checkpoint.ckpt", weights_only=True)
    assert checkpoint["merec"]["never_saw"] == ["006"]


def test_a_class_without_samples_is_said_before_training_beside_the_score_and_by_the_doctor(
    merec, tmp_path, small
):
    fourth = "corpus.classes=[negative,positive,surprise,others]"
    done = merec("train", *small, fourth, "task=baseline", "logger=none")
    assert done.returncode == 0, done.stderr
    line = "no sample is of class others, whose F1 and recall count as 0, so UF1 and UAR cannot exceed 3/4"
    assert line in " ".join(done.stderr.split())
    assert line in " ".join(done.stdout.split())
    assert "(no others)" in done.stdout
    metrics = json.loads((only_run(tmp_path) / "metrics.json").read_text())
    assert metrics["absent_classes"]["Full"] == ["others"]
    corpus = [entry for entry in small if entry.startswith("corpus")]
    done = merec("doctor", *corpus, fourth)
    assert "class without samples" in done.stdout


def test_a_finished_run_is_not_trained_again_and_a_missing_fold_is(merec, tmp_path, small):
    merec("train", *small, "logger=none")
    folder = only_run(tmp_path)
    whole = read(folder)
    files = {path: path.stat().st_mtime_ns for path in folder.glob("folds/*/predictions.csv")}
    assert len(files) == 6

    lost = folder / "folds/003/predictions.csv"
    lost.unlink()
    done = merec("train", *small, "logger=none")
    assert done.returncode == 0
    after = {path: path.stat().st_mtime_ns for path in folder.glob("folds/*/predictions.csv")}
    assert {path for path in files if after[path] != files[path]} == {lost}
    pd.testing.assert_frame_equal(read(folder), whole)


@pytest.mark.slow
def test_a_killed_run_is_completed_by_the_same_command_as_if_never_killed(merec, tmp_path, small):
    small = [*small, "logger=none", "trainer.max_epochs=40"]
    merec("train", *small, f"hydra.run.dir={tmp_path / 'whole'}")

    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "merec", "train", *small, f"hydra.run.dir={folder}"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env=os.environ)
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("folds/*/predictions.csv"))) < 2:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("folds/*/predictions.csv")}
    assert 2 <= len(finished) < 6
    assert not (folder / "metrics.json").exists()

    done = merec("train", *small, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == before for path, before in finished.items())
    pd.testing.assert_frame_equal(read(folder), read(tmp_path / "whole"))


def test_a_folder_of_another_config_or_other_samples_is_refused(merec, tmp_path, small, small_root):
    small = [*small, "logger=none", f"hydra.run.dir={tmp_path / 'run'}", "folds=0"]
    assert merec("train", *small).returncode == 0
    done = merec("train", *small, "trainer.max_epochs=4")
    assert done.returncode == 2
    assert "trainer.max_epochs was 3, is 4" in done.stderr
    assert "set hydra.run.dir" in done.stderr

    other = tmp_path / "other"
    other.mkdir()
    with np.load(small_root / "flow.npz") as arrays:
        keep = arrays["sample_id"] != "sub01_c0"
        np.savez(other / "flow.npz", flow=arrays["flow"][keep], sample_id=arrays["sample_id"][keep])
    lines = (small_root / "samples.csv").read_text().splitlines()
    (other / "samples.csv").write_text(
        "\n".join(line for line in lines if not line.startswith("sub01_c0,")) + "\n"
    )
    done = merec("train", *small, f"corpus.root={other}")
    assert done.returncode == 2
    assert "30 samples" in done.stderr
    assert "29 samples" in done.stderr


def test_what_would_leave_a_wrong_or_no_result_is_refused(merec, tmp_path, small):
    small = [*small, "logger=none"]
    run = f"hydra.run.dir={tmp_path / 'run'}"
    for given, hint in (
        (["name=../../escape"], "no name of one folder"),
        (["+trainer.limit_train_batches=0", run], "untrained"),
        (["+trainer.max_steps=0", run], "untrained"),
        (["corpus.classes=[negative,negative,positive]", run], "named twice"),
    ):
        done = merec("train", *small, *given)
        assert (done.returncode, hint in done.stderr) == (2, True), (given, done.stderr)
    assert not (tmp_path.parents[0] / "escape").exists()
    assert merec("train", *small, run, "task=baseline", "task.estimator=logistic").returncode == 0
    done = merec("compare", str(tmp_path / "run"), str(tmp_path / "run"))
    assert (done.returncode, "given twice" in done.stderr) == (2, True)
    file = tmp_path / "run/folds/000/predictions.csv"
    table = pd.read_csv(file, dtype={"subject": str})
    table.loc[0, "label"] = (table.loc[0, "label"] + 1) % 3
    table.to_csv(file, index=False)
    done = merec("train", *small, run, "task=baseline", "task.estimator=logistic")
    assert (done.returncode, "in the corpus" in done.stderr) == (2, True)
    assert "predictions.csv, line 2" in done.stderr


@pytest.mark.slow
def test_fold_ranges_in_two_folders_pool_to_the_whole(merec, tmp_path, small):
    small = [*small, "logger=none"]
    merec("train", *small, f"hydra.run.dir={tmp_path / 'whole'}")
    for part in ("0-2", "3-5"):
        done = merec("train", *small, f"folds={part}", f"hydra.run.dir={tmp_path / 'parts' / part}")
        assert "3 of 6 subjects held out" in done.stderr
    done = merec("report", str(tmp_path / "parts" / "0-2"))
    assert done.returncode == 2
    assert "15 of 30 samples" in done.stderr

    (parts,) = pool_runs(find_runs([tmp_path / "parts"]))
    (whole,) = pool_runs(find_runs([tmp_path / "whole"]))
    order = ["sample_id"]
    pd.testing.assert_frame_equal(
        parts.predictions.sort_values(order, ignore_index=True),
        whole.predictions.sort_values(order, ignore_index=True),
    )
    done = merec("report", str(tmp_path / "parts"), f"out={tmp_path / 'report'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "report.html").exists()


@pytest.mark.slow
def test_a_multirun_gives_a_folder_per_seed_and_compare_tests_them(merec, tmp_path, small):
    done = merec("train", "-m", *small, "logger=none", "seed=0,1")
    assert done.returncode == 0, done.stderr
    folders = sorted(file.parent for file in tmp_path.rglob("environment.json"))
    assert [folder.name for folder in folders] == ["seed-0", "seed-1"]
    a, b = map(read, folders)
    assert not np.allclose(a.filter(like="p_"), b.filter(like="p_"))
    (result,) = pool_runs(find_runs([tmp_path]))
    assert result.seeds == [0, 1]

    assert merec("train", *small, "logger=none", "task=baseline").returncode == 0
    baseline = tmp_path / "runs" / "megc2019_flow" / "baseline"
    done = merec("compare", str(baseline), str(folders[0].parent))
    assert done.returncode == 0, done.stderr
    assert "UF1" in done.stdout


def test_a_failed_job_of_a_multirun_lets_the_others_run_and_the_exit_code_tells(
    merec, tmp_path, small
):
    small = [*small, "logger=none", "task=baseline", "folds=0"]
    done = merec("train", "-m", *small, "task.estimator=none_such,logistic")
    assert done.returncode == 2
    assert "task.estimator=none_such is unknown" in done.stderr
    assert [file.parents[2].name for file in tmp_path.rglob("environment.json")] == ["logistic-rgb"]


def test_protocols_that_differ_are_not_compared(merec, tmp_path, small, small_root):
    small = [*small, "logger=none", "task=baseline", "task.estimator=logistic"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "flow.npz").write_bytes((small_root / "flow.npz").read_bytes())
    table = (
        (small_root / "samples.csv")
        .read_text()
        .replace("sub01_c0,casme2,sub01,c0,0", "sub01_c0,casme2,sub01,c0,1")
    )
    (other / "samples.csv").write_text(table)
    merec("train", *small, f"hydra.run.dir={tmp_path / 'a'}")
    merec("train", *small, f"hydra.run.dir={tmp_path / 'b'}", f"corpus.root={other}")
    done = merec("compare", str(tmp_path / "a"), str(tmp_path / "b"))
    assert done.returncode == 2
    assert "different protocols" in done.stderr


def test_data_sets_are_held_out_whole_and_such_a_run_is_never_compared_with_subjects_held_out(
    merec, tmp_path, small
):
    small = [*small, "logger=none", "task=baseline", "task.estimator=logistic"]
    done = merec("train", *small, "task.hold_out=corpus", f"hydra.run.dir={tmp_path / 'a'}")
    assert done.returncode == 0, done.stderr
    assert "leave-one-data-set-out" in " ".join(done.stdout.split())
    held_out = read(tmp_path / "a").groupby("fold")["corpus"].unique().map(list).tolist()
    assert held_out == [["casme2"], ["samm"], ["smic"]]
    merec("train", *small, f"hydra.run.dir={tmp_path / 'b'}")
    done = merec("compare", str(tmp_path / "a"), str(tmp_path / "b"))
    assert done.returncode == 2
    assert "leave-one-data-set-out) and small" in done.stderr


def test_finetune_holds_one_subject_out_or_nobody(merec, tmp_path, small):
    small = [*small, "task=finetune", "logger=none"]
    merec("train", *small, "fold=2", f"hydra.run.dir={tmp_path / 'one'}")
    assert read(tmp_path / "one")["subject"].unique().tolist() == ["s01"]
    merec("train", *small, f"hydra.run.dir={tmp_path / 'all'}")
    checkpoint = torch.load(tmp_path / "all" / "checkpoint.ckpt", weights_only=True)
    assert checkpoint["merec"]["never_saw"] == []
    done = merec(
        "train",
        *small,
        "fold=2",
        f"task.weights={tmp_path / 'all' / 'checkpoint.ckpt'}",
        f"hydra.run.dir={tmp_path / 'leak'}",
    )
    assert done.returncode == 2
    assert "was trained on subject s01" in done.stderr


@pytest.mark.slow
def test_sigterm_ends_with_its_own_exit_code_and_no_half_fold(tmp_path, small):
    command = [
        sys.executable,
        "-m",
        "merec",
        "train",
        *small,
        "logger=none",
        "trainer.max_epochs=100000",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("environment.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(2)  # into the first epochs
    process.send_signal(signal.SIGTERM)
    _, predicted = process.communicate(timeout=60)
    assert process.returncode == 143, predicted
    assert "interrupted; the same command goes on" in predicted
    assert not list(tmp_path.rglob("predictions.csv"))


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        (
            "--resume",
            "unrecognized arguments: --resume; overrides are KEY=VALUE, e.g. resume=force",
        ),
        ("--cfg=all_", "invalid choice: 'all_'"),
        ("seed", "seed is no override; overrides are KEY=VALUE: give seed=…"),
        ("=3", "=3 has no key; overrides are KEY=VALUE"),
        ("~corpus", "~corpus leaves a run without corpus; choose another by corpus=…"),
        ("~trainer.max_epochs", "~trainer.max_epochs leaves a run without trainer.max_epochs"),
        ("experiments=../conf/config", "there is no experiments=../conf/config"),
        ("task.train_on=[casme2", "task.train_on=[casme2 is not understood"),
        ("name=${nosuch:1}", "name=${nosuch:1} cannot be resolved (Unsupported interpolation type"),
        ("remark=${remark}", "remark=${remark} cannot be resolved (Recursive interpolation"),
    ],
)
def test_an_argument_that_is_no_override_is_one_line(merec, tmp_path, argument, hint):
    done = merec("train", argument)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("merec: error: ")
    assert hint in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("roots: {a: [\n", "default.yaml, line 2: this is no YAML"),
        (
            "# @package _global_\nroot: /x\n",
            "conf/local/default.yaml: there is no root; did you mean",
        ),
    ],
)
def test_a_broken_file_of_local_settings_is_named(merec, tmp_path, monkeypatch, text, hint):
    from merec import config
    from merec.cli import train

    (tmp_path / "conf").mkdir()
    for file in (config.home() / "conf").iterdir():
        if file.name != "local":
            (tmp_path / "conf" / file.name).symlink_to(file)
    (tmp_path / "conf" / "local").mkdir()
    (tmp_path / "conf" / "local" / "default.yaml").write_text(text)
    monkeypatch.setattr(train, "home", lambda: tmp_path)
    done = merec("train", "logger=none")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert hint in line


@pytest.mark.slow
def test_an_unfinished_run_below_a_folder_is_passed_over_with_a_warning(
    merec, tmp_path, small, caplog
):
    small = [*small, "logger=none"]
    runs = tmp_path / "all"
    merec("train", *small, f"hydra.run.dir={runs / 'whole'}")
    merec("train", *small, "task=finetune", f"hydra.run.dir={runs / 'nobody'}")
    merec("train", *small, "folds=0-1", "backbone.dropout=0.1", f"hydra.run.dir={runs / 'part'}")
    caplog.clear()
    done = merec("report", str(runs), f"out={tmp_path / 'report'}")
    assert done.returncode == 0, done.stderr
    predicted = done.stderr + caplog.text
    assert "nobody is passed over" in predicted
    assert "10 of 30 samples" in predicted
    done = merec("report", str(runs / "whole"), str(runs / "part"), f"out={tmp_path / 'report'}")
    assert done.returncode == 2, "a run that was named must be whole"
    assert "10 of 30 samples" in done.stderr


def test_other_pixels_under_the_same_names_are_refused_and_not_pooled(
    merec, tmp_path, small, small_root
):
    other = tmp_path / "other"
    other.mkdir()
    (other / "samples.csv").write_bytes((small_root / "samples.csv").read_bytes())
    with np.load(small_root / "flow.npz") as arrays:
        np.savez(other / "flow.npz", flow=255 - arrays["flow"], sample_id=arrays["sample_id"])
    small = [*small, "logger=none", "task=baseline", "task.estimator=logistic"]
    merec("train", *small, f"hydra.run.dir={tmp_path / 'runs' / 'a'}")
    done = merec(
        "train", *small, f"corpus.root={other}", f"hydra.run.dir={tmp_path / 'runs' / 'a'}"
    )
    assert done.returncode == 2
    assert "other features" in done.stderr
    merec(
        "train",
        *small,
        f"corpus.root={other}",
        "seed=1",
        f"hydra.run.dir={tmp_path / 'runs' / 'b'}",
    )
    assert len(pool_runs(find_runs([tmp_path / "runs"]))) == 2


def test_a_trainer_that_cannot_be_built_is_one_line_before_anything_is_written(
    merec, tmp_path, small
):
    done = merec("train", *small, "logger=none", "trainer.accelerator=abacus")
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if line]) == 1, done.stderr
    assert "the trainer cannot be built" in done.stderr
    assert not list(tmp_path.rglob("config.yaml"))


def test_a_whole_run_keeps_the_record_of_what_made_it_and_tells_a_logger_once(
    merec, tmp_path, small
):
    small = [*small, f"hydra.run.dir={tmp_path / 'run'}"]
    merec("train", *small, "logger=none")
    record = (tmp_path / "run" / "environment.json").read_bytes()
    assert not (tmp_path / "run" / "tracked").exists()
    for _ in range(2):  # the second time there is nothing left to tell
        assert merec("train", *small, "logger=csv").returncode == 0
        assert len(list((tmp_path / "run" / "csv").iterdir())) == 1
    assert (tmp_path / "run" / "environment.json").read_bytes() == record


def test_a_run_in_lower_precision_goes_through_and_its_meter_agrees(merec, tmp_path, small):
    done = merec("train", *small, "logger=none", "trainer.precision=bf16-true")
    assert done.returncode == 0, done.stderr
    (result,) = pool_runs(find_runs([tmp_path]))
    (reading,) = result.read_optimism()
    assert reading.honest[0] == pytest.approx(result.score()["uf1"].value)


def test_debug_runs_stay_apart_from_real_ones_in_a_multirun_too(merec, tmp_path, small):
    overrides = [text for text in small if not text.startswith("trainer.max_epochs")]
    assert merec("train", "-m", *overrides, "debug=fast", "seed=0").returncode == 0
    assert only_run(tmp_path).relative_to(tmp_path).parts[:2] == ("runs", "debug")


@pytest.mark.slow
def test_clips_go_from_frames_to_a_report(merec, rendered, find_local, tmp_path):
    find_local("face_landmarker")
    choice = ["corpus=synthetic", f"corpus.root={rendered}", f"features.root={tmp_path / 'store'}"]
    quick = ["features.clip.frames=3", "features.clip.size=16", "trainer.max_epochs=1"]
    done = merec(
        *("train", *choice, *quick, "backbone=r3d_18", "datamodule=fused"),
        *("trainer=cpu", "logger=none", "task.engine=loop", "hydra.run.dir=run"),
    )
    assert done.returncode == 0, done.stderr
    table = read(tmp_path / "run")
    assert sorted(table["subject"].unique()) == ["spNO.1", "spNO.2"]
    assert len(table) == 4
    assert merec("report", "run", "out=report").returncode == 0
    assert "r3d_18" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_clips_of_a_corpus_without_frames_are_refused(merec, small):
    done = merec("train", *small, "backbone=r3d_18", "datamodule.scaling=standard", "logger=none")
    assert done.returncode == 2
    assert "datamodule=rgb with representation clip does not go with small" in done.stderr
    assert "has flow maps only" in done.stderr


@pytest.mark.slow
def test_shifted_key_frames_are_tested_kept_and_reported(merec, rendered, find_local, tmp_path):
    find_local("face_landmarker")
    choice = ["corpus=synthetic", f"corpus.root={rendered}", f"features.root={tmp_path / 'store'}"]
    choice += ["task=baseline", "task.estimator=logistic", "logger=none", "hydra.sweep.dir=study"]
    done = merec("train", "-m", *choice, "datamodule.jitter.apex=0,5")
    assert done.returncode == 0, done.stderr
    (table,) = map(pd.read_csv, tmp_path.rglob("jitter.csv"))
    assert len(table) == 4
    assert table["apex_shift"].between(0, 5).all()
    assert table["apex_shift"].any()
    reported = merec("report", "study", "out=report")
    assert reported.returncode == 0, reported.stderr
    assert "Key frames off the annotated ones" in reported.stdout
    assert len(pd.read_csv(tmp_path / "report" / "jitter.csv")) == 2


@pytest.mark.parametrize("engine", ["loop", pytest.param("processes", marks=pytest.mark.slow)])
def test_one_device_trains_in_a_slurm_allocation_of_several_tasks(
    merec, monkeypatch, small, engine
):
    allocation = {
        "NTASKS": 2,
        "JOB_ID": 1,
        "JOB_NAME": "job",
        "PROCID": 0,
        "LOCALID": 0,
        "NODEID": 0,
    }
    for name, value in allocation.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    done = merec(
        "train", *small, "logger=none", "folds=0-1", f"task.engine={engine}", "task.workers=2"
    )
    assert done.returncode == 0, done.stderr
