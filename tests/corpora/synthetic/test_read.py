"""Test that a rendered corpus is read and examined like a real one, and rendered on first use."""

import json
import shutil
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from merec.config import build, compose_node
from merec.corpora.casme3 import read_casme3
from merec.corpora.casme3_lists import MICRO_FILE
from merec.corpora.doctor import examine
from merec.corpora.reading.action_units import read_action_units
from merec.errors import InputError
from merec.synthetic import read as module
from merec.synthetic.annotation import write_annotation
from merec.synthetic.manifest import MANIFEST
from merec.synthetic.plan import plan_corpus
from merec.types import Corpus


def read(root: Path | None, **changes: object) -> Corpus:
    """Build the corpus of `corpus=synthetic` as the command line does."""
    overrides = [f"corpus.{key}={value}" for key, value in changes.items()]
    overrides += [f"corpus.root={root}"] if root else []
    return build(compose_node("corpus", ["corpus=synthetic", *overrides]), lenient=False)


def test_every_planned_sample_is_read_with_its_action_units(rendered, camera_of):
    corpus = read(rendered)
    assert corpus.protocol.name == "synthetic-4@v2"
    assert (corpus.protocol.samples, corpus.protocol.subjects) == (4, 2)
    planned = {
        f"{clip.subject}_{clip.clip}_{expression.onset}": (expression, clip)
        for clip in plan_corpus(2, 2, 0, 0, 0, 0, "key")
        for expression in clip.expressions
    }
    assert set(corpus.index["sample_id"]) == planned.keys()
    for row in corpus.index.to_dict("records"):
        expression, clip = planned[row["sample_id"]]
        assert row["action_units"] == expression.action_units
        times = (expression.onset, expression.apex, expression.offset)
        assert (row["onset"], row["apex"], row["offset"]) == times
        assert row["emotion"] == expression.emotion
        assert row["fps"] == 30
        assert row["color"].numbers() == row["depth"].numbers() == list(clip.frames)
        for frames in (row["color"], row["depth"]):
            assert all(frames.path(number).is_file() for number in times)
    assert corpus.camera == camera_of(rendered)
    assert corpus.findings == ()
    assert corpus.macro is None
    assert corpus.unlabelled is None
    assert read_action_units("1").read == (*corpus.index["action_units"].iloc[0],)


def test_the_protocol_of_the_default_corpus_is_the_published_one(tmp_path):
    node = OmegaConf.to_container(compose_node("corpus", ["corpus=synthetic"]), resolve=True)
    keys = ("subjects", "samples", "unlabelled", "macro", "zero_motion", "seed", "frames")
    write_annotation(plan_corpus(*(node["render"][key] for key in keys)), tmp_path)
    arguments = {key: node[key] for key in node.keys() - {"_target_", "render"}}
    corpus = read_casme3(**{**arguments, "root": str(tmp_path), "intrinsics": None})
    index, protocol = corpus.index, corpus.protocol
    assert (protocol.name, protocol.hash) == ("synthetic-4@v2", "12ccec9b3eb1a3e0")
    assert (protocol.samples, protocol.subjects) == (720, 60)
    assert (index["onset"] == index["apex"]).sum() == 46  # 55 of 860 in the real list
    units = index[["subject", "action_units"]].explode("action_units")
    subjects = units.assign(unit=[unit.number for unit in units["action_units"]]).groupby("unit")
    common = subjects["subject"].nunique() >= 10
    assert common.index[common].tolist() == [1, 2, 4, 5, 7, 9, 10, 12, 14, 17, 18, 24, 38]


def test_seven_classes_are_read_too(rendered):
    corpus = read(rendered, classes=7)
    assert corpus.protocol.name == "synthetic-7@v2"
    assert len(corpus.protocol.classes) == 7


def test_the_doctor_finds_nothing_in_a_rendered_corpus(rendered):
    examination = examine(read(rendered), rendered, deep=True, jobs=1)
    # With four samples a class may occur in one subject only, which is a warning.
    assert {finding.kind for finding in examination.findings} <= {"class of one subject"}
    assert examination.opened == 2 * 27


def test_the_doctor_names_all_that_was_damaged(rendered, tmp_path, merec):
    root = shutil.copytree(rendered, tmp_path / "copy")
    (root / "spNO.1" / "a" / "color" / "9.jpg").unlink()
    depth = root / "spNO.1" / "b" / "depth" / "1431.png"
    Image.fromarray(np.zeros((240, 320), np.uint16)).save(depth)
    book = openpyxl.load_workbook(root / MICRO_FILE)
    sheet = book["label"]
    columns = {cell.value: cell.column for cell in sheet[1]}
    onset, apex = (sheet.cell(4, columns[name]) for name in ("Onset", "Apex"))
    onset.value, apex.value = apex.value, onset.value
    sheet.cell(5, columns["emotion"]).value = "hapy"
    book.save(root / MICRO_FILE)
    done = merec("doctor", "corpus=synthetic", f"corpus.root={root}", "jobs=1", "out=found.csv")
    assert done.returncode == 1
    errors = pd.read_csv(tmp_path / "found.csv").query("severity == 'error'")
    reported = {(row["kind"], row["row_from_0"]) for row in errors.to_dict("records")}
    assert {
        ("missing frame", 0),
        ("empty depth", 1),
        ("onset after apex", 2),
        ("unknown class", 3),
    } <= reported


def test_without_a_root_it_is_rendered_into_the_cache_once(rendered, tmp_path, monkeypatch, caplog):
    calls = []

    def copy_instead(root, settings, jobs):
        calls.append((root, settings, jobs))
        shutil.copytree(rendered, root)

    monkeypatch.setenv("MEREC_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "synthesize", copy_instead)
    with caplog.at_level("INFO"):
        first, second = read(None), read(None)
    ((root, settings, jobs),) = calls
    assert root == tmp_path / "synthetic" / settings.hash()
    assert (settings.subjects, settings.samples, settings.annotation, jobs) == (60, 12, None, -1)
    assert caplog.text.count("rendering the synthetic corpus into") == 1
    assert first.protocol == second.protocol
    assert all(frames.folder.is_relative_to(root) for frames in first.index["color"])


def test_other_settings_are_another_corpus_in_the_cache(rendered, tmp_path, monkeypatch):
    roots = []

    def copy_instead(root, settings, jobs):
        roots.append(root)
        shutil.copytree(rendered, root)

    monkeypatch.setenv("MEREC_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "synthesize", copy_instead)
    for seed in (0, 1):
        read(None, **{"render.seed": seed})
    assert len(set(roots)) == 2


def test_a_root_without_a_whole_rendered_corpus_is_refused(rendered, tmp_path):
    with pytest.raises(InputError, match=r"holds no rendered corpus; run merec synthesize root="):
        read(tmp_path)
    manifest = json.loads((rendered / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(manifest | {"finished": False}))
    with pytest.raises(InputError, match="holds an unfinished corpus; run merec synthesize root="):
        read(tmp_path)
