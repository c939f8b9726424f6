"""The real 442 micro-expressions, end to end; slow."""

import json
from pathlib import Path

import numpy as np
import pytest

from merec.evaluation.pooling import pool_runs
from merec.evaluation.runs import find_runs

pytestmark = pytest.mark.slow
MAJORITY_UF1 = 2 * 250 / (250 + 442) / 3  # everything called negative


def pooled(tmp_path: Path):
    (result,) = pool_runs(find_runs([tmp_path]))
    return result


def test_ststnet_for_fifty_epochs_beats_the_majority_and_the_meter_shows_the_leak(
    merec, tmp_path, real_maps
):
    root = f"corpus.root={real_maps / 'megc2019_flow'}"
    done = merec("train", "experiments=megc2019_demo", root, "logger=none", "trainer=cpu")
    assert done.returncode == 0, done.stderr
    result = pooled(tmp_path)
    assert result.protocol.name == "megc2019-cd"
    assert (result.protocol.samples, result.protocol.subjects) == (442, 68)
    assert result.score()["uf1"].low > MAJORITY_UF1
    (reading,) = result.read_optimism()
    assert reading.epochs == 50
    assert reading.honest[0] == pytest.approx(result.score()["uf1"].value)
    assert reading.best_epoch[0] > reading.best_common_epoch[0] >= reading.honest[0]
    # Guessing, given fifty choices per subject, beats what was honestly learnt in so few epochs.
    assert reading.random_guess[0] > 0.5
    assert str(round(reading.best_epoch[0], 4)).lstrip("0") in done.stdout.replace("0.", ".")


def test_the_nested_svm_reaches_the_reference_and_sees_no_held_out_subject(
    merec, tmp_path, real_maps
):
    corpus = ["corpus=megc2019_flow", f"corpus.root={real_maps / 'megc2019_flow'}", "logger=none"]
    done = merec("train", "task=baseline", "task.estimator=rbf_svm_nested", *corpus)
    assert done.returncode == 0, done.stderr
    scores = pooled(tmp_path).score()
    assert scores["uf1"].value >= 0.73
    assert scores["uar"].value >= 0.74
    notes = [json.loads(file.read_text()) for file in tmp_path.rglob("fold.json")]
    assert len(notes) == 68
    assert all(np.isfinite(note["inner_uf1"]) for note in notes)
