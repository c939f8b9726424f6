"""What an offline W&B run holds, read back from its log file."""

import json
from pathlib import Path

import pytest
from wandb.proto import wandb_internal_pb2

_BLOCK = 32768


def read_records(file: Path) -> list[wandb_internal_pb2.Record]:
    """Read a .wandb file: 7 bytes, then LevelDB log chunks (checksum, length, type), blocks of 32 KiB."""
    data, position, records, pending = file.read_bytes(), 7, [], b""
    while position + 7 <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < 7:
            position += left
            continue
        length = int.from_bytes(data[position + 4 : position + 6], "little")
        kind = data[position + 6]  # 1 whole, 2 first, 3 middle, 4 last
        pending += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(pending)
            records.append(record)
            pending = b""
    return records


def items(changes) -> dict[str, str]:
    """Keys and JSON values of a change to config or summary."""
    return {item.key or "/".join(item.nested_key): item.value_json for item in changes.update}


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory, small_root):
    """The .wandb files of a multirun over two seeds."""
    import os
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("wandb")
    small = [
        "corpus=megc2019_flow",
        f"corpus.root={small_root}",
        "corpus.name=small",
        "corpus.expected=null",
        "trainer=cpu",
    ]
    command = [
        sys.executable,
        "-m",
        "merec",
        "train",
        "-m",
        *small,
        "trainer.max_epochs=2",
        "seed=0,1",
    ]
    environment = {**os.environ, "WANDB_API_KEY": "", "COLUMNS": "120"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return sorted(folder.rglob("*.wandb")), done


def test_each_job_of_a_multirun_is_one_finished_run(two_runs):
    files, done = two_runs
    assert len(files) == 2
    assert "wandb sync" in done.stderr
    runs = []
    for file in files:
        records = read_records(file)
        (run,) = {record.run.run_id for record in records if record.HasField("run")}
        runs.append(run)
        assert any(record.HasField("exit") and record.exit.exit_code == 0 for record in records)
    assert len(set(runs)) == 2


def test_a_run_holds_what_a_dashboard_sorts_and_shows(two_runs):
    for seed, file in enumerate(two_runs[0]):
        records = read_records(file)
        run = next(record.run for record in records if record.HasField("run"))
        assert run.run_group == "megc2019_flow/loso"
        assert run.job_type == "loso"
        assert set(run.tags) == {"megc2019_flow", "rgb", "ststnet-rgb"}
        config, summary = {}, {}
        for record in records:
            config |= items(record.run.config if record.HasField("run") else record.config)
            summary |= items(record.summary)
        assert json.loads(config["seed"]) in (0, 1), seed
        assert json.loads(config["trainer"])["max_epochs"] == 2

        assert {
            "uf1",
            "uf1_low",
            "uf1_high",
            "uar",
            "smic/uf1",
            "optimism/gap_uf1",
        } <= summary.keys()
        metrics = json.loads(next(file.parents[2].glob("metrics.json")).read_text())
        assert json.loads(summary["uf1"]) == pytest.approx(
            metrics["scores"]["Full"]["uf1"]["value"]
        )

        logged = {
            item.key
            or item.nested_key[0]  # a picture is logged by its parts: its path, its size, …
            for record in records
            if record.HasField("history")
            for item in record.history.item
        }
        assert {
            "confusion",
            "subjects",
            "predictions",
            "curves/train_loss_50",
            "folds/done",
        } <= logged
        # Curves are quantiles over folds: their number does not grow with the folds.
        assert len([key for key in logged if key.startswith("curves/")]) < 12
        artifacts = [record.artifact.name for record in records if record.HasField("artifact")]
        assert any(name.startswith("predictions-") for name in artifacts)


def test_no_folder_of_this_machine_is_in_the_config(two_runs, small_root):
    for file in two_runs[0]:
        for record in read_records(file):
            if record.HasField("config") or record.HasField("run"):
                assert str(small_root) not in str(record)
