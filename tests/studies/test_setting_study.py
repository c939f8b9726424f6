"""Studies of depth noise and of training subjects: found by config, drawn and put in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from merec.evaluation.comparison import compare_results
from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result
from merec.evaluation.runs import find_runs
from merec.reporting.page import write_page
from merec.studies import depth_noise, training_subjects
from merec.studies.depth_noise import (
    DEPTH_NOISE,
    read_depth_noise,
)
from merec.studies.setting_study import (
    draw_curves,
    explain_study,
    read_study,
)
from merec.studies.training_subjects import (
    TRAIN_SUBJECTS,
)

NOISES = (0, 0.25, 0.7)


def configure(modality: str, noise: float | None, camera: str = "d415", **task: object) -> dict:
    render = {
        "camera": camera,
        "depth_noise": noise,
        "depth_step": 0.1,
        "width": 480,
        "subjects": 7,
    }
    data = {"modality": modality, "channels": [modality], "corpus": {"render": render}}
    return {"estimator": "logistic", "datamodule": data} | task


@pytest.fixture(scope="module")
def root(make_index, write_run, tmp_path_factory) -> Path:
    """Colour at one noise, depth and both at three; of the former with few subjects too."""
    root = tmp_path_factory.mktemp("studies")
    index = make_index({"casme3": 8}, 8)
    tasks = {"rgb": configure("rgb", 0.25)}
    tasks |= {f"{m}-{n}": configure(m, n) for m in ("depth", "fused") for n in NOISES}
    tasks |= {f"few-{n}": configure("rgb", 0.25, train_subjects=n) for n in (2, 4)}
    skill = {"rgb": 1.0, "depth-0": 2.0, "fused-0": 5.0, "fused-0.25": 4.0, "fused-0.7": 1.0}
    for name, task in tasks.items():
        about = {
            "name": f"logistic-{task['datamodule']['modality']}",
            "skill": skill.get(name, 0.0),
        }
        write_run(root / name, index, task=task, protocol="made", **about)
    return root


@pytest.fixture(scope="module")
def results(root: Path) -> dict[str, Result]:
    runs = pool_runs(find_runs([root]))
    return {result.runs[0].folder.path.name: result for result in runs}


def test_noise_is_what_was_set_or_the_cameras_own(results) -> None:
    assert [read_depth_noise(results[f"depth-{noise}"]) for noise in NOISES] == [0, 0.25, 0.7]
    (run,) = results["depth-0.25"].runs
    of_camera = configure("depth", None) | {"seed": 0}
    added = configure("depth", 0.3)
    added["datamodule"]["features"] = {"depth_noise": 0.4}
    for task, expected in ((of_camera, 1.17), (added, 0.5)):
        other = replace(run, config={"task": task})
        assert read_depth_noise(replace(results["rgb"], runs=[other])) == pytest.approx(
            expected, abs=0.01
        )


def test_noise_of_a_rendering_in_a_folder_of_the_users_is_not_believed_from_the_config(results):
    given = configure("depth", 0.3)
    given["datamodule"]["corpus"]["root"] = "rendered/last/year"
    (run,) = results["depth-0.25"].runs
    assert (
        read_depth_noise(replace(results["rgb"], runs=[replace(run, config={"task": given})]))
        is None
    )


def test_a_curve_holds_all_that_differ_in_noise_only_and_colour_alone_stands_beside(results):
    rows = read_study([*results.values()], DEPTH_NOISE)
    assert rows["study"].nunique() == 1
    assert set(rows["method"]) == {"logistic"}
    for modality in ("depth", "fused"):
        part = rows[rows["modality"] == modality]
        assert part["setting"].tolist() == [*NOISES]
        scores = [results[f"{modality}-{noise}"].score()["uf1"].value for noise in NOISES]
        assert part["score"].tolist() == scores
    change = compare_results(results["rgb"], results["fused-0.25"]).iloc[0]
    actual = rows[(rows["modality"] == "fused") & (rows["setting"] == 0.25)].iloc[0]
    assert (
        actual[["difference", "low", "high"]].tolist()
        == change[["difference", "low", "high"]].tolist()
    )
    assert rows[rows["modality"] != "fused"]["difference"].isna().all()


def test_training_subjects_are_those_set_or_all_that_are_not_held_out(results):
    rows = read_study([*results.values()], TRAIN_SUBJECTS)
    subjects = results["rgb"].protocol.subjects
    assert rows["setting"].tolist() == [2, 4, subjects - 1]
    assert rows["result"].iloc[-1] == results["rgb"].name
    assert read_study([results["rgb"], results["depth-0"]], TRAIN_SUBJECTS).empty


def test_the_sentence_is_reckoned_from_the_intervals(results):
    rows = read_study([*results.values()], DEPTH_NOISE)
    fused = rows[rows["modality"] == "fused"]
    assert (fused["low"] > 0).tolist() == [True, True, False]
    predicted = explain_study(DEPTH_NOISE, rows, "UF1", ("majority class", 0.5))
    assert "depth beside colour helps logistic at 0, 0.25 mm, not at 0.7 mm" in predicted
    depth = rows[rows["modality"] == "depth"]
    above = [f"{n:g}" for n in depth["setting"][depth["score_low"] > 0.5]]
    assert above == ["0"]
    assert (
        "logistic on depth alone is above majority class (.500) at 0 mm, not at 0.25, 0.7 mm"
        in predicted
    )


def test_the_picture_has_a_curve_per_modality_and_a_line_of_colour_alone(results):
    rows = read_study([*results.values()], DEPTH_NOISE)
    panels = draw_curves(DEPTH_NOISE, rows, "UF1", ("majority class", 0.2)).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["Depth", "Colour and depth"]
    for axes, modality in zip(panels, ("depth", "fused"), strict=True):
        scores = rows[rows["modality"] == modality]["score"]
        (curve,) = [line for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(np.asarray(curve.get_ydata(), float), scores)
        (colour,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert colour.get_ydata()[0] == results["rgb"].score()["uf1"].value


def test_a_page_shows_both_studies_and_keeps_their_numbers(results):
    answers = [study.answer([*results.values()]) for study in (depth_noise, training_subjects)]
    page = write_page("", "", "", answers)
    assert page.count('<svg role="img"') == 2
    for answer, setting in zip(answers, (DEPTH_NOISE, TRAIN_SUBJECTS), strict=True):
        assert setting.axis in page
        (rows,), (table,) = answer.frames.values(), answer.tables.values()
        assert len(table.rows) == len(rows) > 0
    nothing = depth_noise.answer([results["rgb"]])
    assert not nothing.parts
    assert nothing.frames["depth_noise"].empty
