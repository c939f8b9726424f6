"""Content of an offline W&B run, read back from its log file."""

import json
import socket
import time
from pathlib import Path

import pytest

from merec.run_folder import RunFolder


def test_each_job_of_a_multirun_is_one_finished_run(offline_runs):
    runs = [run for run in offline_runs.read() if run.group == "megc2019_flow/loso"]
    assert len({run.id for run in runs}) == len(runs) == 2
    assert all(run.finished for run in offline_runs.read())
    assert offline_runs.printed.count("wandb sync") == 3
    assert "anonymous" not in offline_runs.printed


def test_a_run_holds_what_a_dashboard_sorts_and_shows(offline_runs):
    for run in offline_runs.read():
        loso = run.group == "megc2019_flow/loso"
        method = "ststnet" if loso else "logistic"
        assert run.job_type == ("loso" if loso else "baseline")
        assert set(run.tags) == {"megc2019_flow", "rgb", f"{method}-rgb"}
        assert run.config["seed"] in (0, 1)
        assert run.config["trainer"]["max_epochs"] == 2
        assert run.config["choices"] == {
            "corpus": "megc2019_flow",
            "task": run.job_type,
            "datamodule": "rgb",
            "method": method,
        }

        scores = {"uf1", "uf1_low", "uf1_high", "uar", "smic/uf1", "class/negative_f1"}
        scores |= {"cost/seconds", "calibration/ece", "calibration/ece_low"}
        learnt = {"optimism/gap_uf1", "cost/parameters"}
        assert scores <= run.summary.keys()
        assert (learnt if loso else set()) == learnt & run.summary.keys()
        metrics = json.loads((run.folder / "metrics.json").read_text())["scores"]["Full"]
        assert run.summary["uf1"] == run.history["uf1"] == pytest.approx(metrics["uf1"]["value"])
        if loso:
            assert run.summary["cost/parameters"] == 1683  # Liong et al. 2019
            gap = run.summary["optimism/best_epoch_uf1"] - run.summary["uf1"]
            assert run.summary["optimism/gap_uf1"] == pytest.approx(gap)

        types = {"confusion": "image-file", "subjects": "table-file", "predictions": "table-file"}
        assert types.items() <= run.list_types().items()
        assert ("curves/train_loss_50" in run.history) == loso
        # Curves are quantiles over folds: their number does not grow with the folds.
        assert len([key for key in run.history if key.startswith("curves/")]) < 12
        assert any(name.startswith("predictions-") for name in run.artifacts)


def test_the_record_of_a_run_names_all_that_was_logged_and_nothing_else(offline_runs):
    for run in offline_runs.read():
        tracked = RunFolder(run.folder).read_tracked()
        assert (tracked.project, tracked.entity, tracked.group) == ("merec", None, run.group)
        assert any((run.folder / tracked.local).glob("*.wandb"))
        keys = tracked.keys
        types = run.list_types()
        assert set(keys.tables) == {key for key, kind in types.items() if kind == "table-file"}
        assert set(keys.pictures) == {key for key, kind in types.items() if kind == "image-file"}
        words = {"protocol", "protocol_hash", "split", "transductive", "commit"}
        for seen, predicted in ((run.history, set()), (run.summary, words)):
            assert types.keys() <= {key.partition("/")[0] for key in seen}
            values = {
                key
                for key in seen
                if key.partition("/")[0] not in types
                and not key.startswith(("_", "folds/", "curves/", "trainer/"))
            }
            assert predicted <= values
            assert values | words == set(keys.scores)
        assert set(keys.curves) == {key for key in run.history if key.startswith("curves/")}
        for name in keys.config:
            assert run.has_setting(name), name
        roots = {name.partition(".")[0] for name in keys.config}
        assert roots == {key for key in run.config if not key.startswith("_")}


def test_no_folder_of_this_machine_is_in_the_config(offline_runs):
    for run in offline_runs.read():
        for record in run.records:
            if record.HasField("config") or record.HasField("run"):
                assert str(offline_runs.corpus) not in str(record)


def test_an_offline_run_speaks_to_nobody_even_beside_an_account(offline_runs):
    assert offline_runs.told == []


def test_no_key_of_an_account_is_written_anywhere(offline_runs, read_bytes):
    files = read_bytes(offline_runs.root)
    assert len(files) > 50
    for name, content in files.items():
        assert offline_runs.key.encode() not in content, name
    assert offline_runs.key not in offline_runs.printed


@pytest.mark.slow
def test_an_online_run_without_a_network_goes_on_offline_at_once_and_says_how_to_upload(
    merec, small, monkeypatch, tmp_path
):
    with socket.socket() as closed:  # a port of this machine at which nobody listens
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        started = time.perf_counter()
        done = merec("train", *small, "folds=0", "logger.mode=online", "task.engine=loop")
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - started < 60
    assert "W&B at http://127.0.0.1" in done.stderr
    assert "cannot be reached" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "wandb sync" in line]
    folder = Path(line.partition("wandb sync ")[2].strip().strip("'"))
    assert list(folder.glob("*.wandb")), line


def test_a_server_that_refuses_or_is_silent_is_told_from_one_that_answers(stand_in, monkeypatch):
    from merec.tracking.wandb_logging import find_network_fault

    monkeypatch.setenv("WANDB_BASE_URL", stand_in.account["WANDB_BASE_URL"])
    assert find_network_fault(1.0) == ""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.perf_counter()
        assert "cannot be reached" in find_network_fault(0.5)
        assert time.perf_counter() - started < 5
