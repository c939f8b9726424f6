"""Test that other software reads what `merec export` writes, and that nothing is left half-written."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file

from merec.config import build
from merec.corpora import read_megc2019_flow
from merec.types import Corpus

CLASSES = ("negative", "positive", "surprise")
# What a user of torch_geometric runs beside the exported files, without merec.
SCRIPT = """
import json, sys
sys.modules["merec"] = None
from dataset import MotionGraphs
from torch_geometric.loader import DataLoader

graphs = MotionGraphs()
batch = next(iter(DataLoader(graphs, batch_size=len(graphs))))
print(json.dumps({
    "pos": batch.pos.tolist(), "x": batch.x.tolist(), "region": batch.region.tolist(),
    "y": batch.y.tolist(), "batch": batch.batch.tolist(),
    "subject": [graphs.subjects[number] for number in batch.subject],
    "sample": [graphs.sample_ids[number] for number in batch.sample],
    "classes": graphs.classes, "num_classes": graphs.num_classes,
}))
"""


def sum_corpus(corpus: Corpus) -> tuple[str, str]:
    """Return checksums of the maps, and of names, subjects and labels."""
    assert corpus.flow_maps is not None
    rows = corpus.index[["sample_id", "subject", "clip", "label"]].to_csv()
    contents = (corpus.flow_maps.tobytes(), rows.encode())
    first, second = (hashlib.sha256(content).hexdigest() for content in contents)
    return first, second


def read_as_released(root: Path) -> dict[str, dict[str, list[tuple[str, int, bytes]]]]:
    """Read maps as the released code does: each subject's parts, folders of labels, all their files."""
    parts = {}
    for subject in os.listdir(root):  # noqa: PTH208
        parts[subject] = {
            part: sorted(
                (file.stem, int(label.name), np.asarray(Image.open(file)).tobytes())
                for label in (root / subject / part).iterdir()
                for file in label.iterdir()
            )
            for part in ("u_train", "u_test")
        }
    return parts


@pytest.fixture
def on_small(small_root: Path) -> list[str]:
    """Name the small corpus of flow maps."""
    overrides = [f"corpus.root={small_root}", "corpus.name=small", "corpus.expected=null"]
    return ["corpus=megc2019_flow", *overrides]


@pytest.fixture
def on_rendered(rendered: Path, shared_folder: Path, find_local) -> list[str]:
    """Name the small rendered corpus, with few points."""
    find_local("face_landmarker")
    features = [f"features.root={shared_folder / 'features'}", "features.points.k=64"]
    return ["corpus=synthetic", f"corpus.root={rendered}", *features]


def test_flow_maps_come_back_unchanged_through_the_reader_of_the_released_folders(
    merec, on_small, small_root, tmp_path
):
    done = merec("export", *on_small, "format=flow_maps", "out=maps")
    assert done.returncode == 0, done.stderr
    before = read_megc2019_flow(str(small_root), "small", CLASSES, None)
    after = read_megc2019_flow(str(tmp_path / "maps"), "small", CLASSES, None)
    assert sum_corpus(after) == sum_corpus(before)
    assert after.protocol == before.protocol


@pytest.mark.slow
def test_the_real_maps_come_back_with_the_hash_of_their_protocol(merec, real_maps, tmp_path):
    root = real_maps / "megc2019_flow"
    done = merec("export", "corpus=megc2019_flow", f"corpus.root={root}", "format=flow_maps")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/export/megc2019_flow-flow_maps"
    before, after = (
        read_megc2019_flow(str(place), "megc2019-cd", CLASSES, None) for place in (root, folder)
    )
    assert sum_corpus(after) == sum_corpus(before)
    assert after.protocol.hash == "19b782e804b25cce"


def test_released_code_finds_each_map_once_and_never_trains_on_the_held_out_subject(
    merec, on_small, small_root, tmp_path
):
    assert merec("export", *on_small, "format=flow_maps", "out=maps").returncode == 0
    corpus = read_megc2019_flow(str(small_root), "small", CLASSES, None)
    assert corpus.flow_maps is not None
    index = corpus.index
    pixels = [image.transpose(1, 2, 0).tobytes() for image in corpus.flow_maps]
    samples = [*zip(index["sample_id"], index["label"], pixels, strict=True)]
    parts = read_as_released(tmp_path / "maps/three_norm_u_v_os")
    assert sorted(parts) == sorted(set(index["subject"]))
    for subject, split in parts.items():
        held_out = [sample for sample in samples if sample[0].startswith(f"{subject}_")]
        assert split["u_test"] == held_out
        assert split["u_train"] == [sample for sample in samples if sample not in held_out]


def test_exported_points_are_those_that_networks_read(merec, on_rendered, composed, tmp_path):
    data = build(composed(*on_rendered, "datamodule=fused", "backbone=lite_point_gcn").datamodule)
    done = merec("export", *on_rendered, "format=pyg", "out=graphs")
    assert done.returncode == 0, done.stderr
    tensors = load_file(tmp_path / "graphs/graphs.safetensors")
    points = np.concatenate([tensors["pos"], tensors["motion"]], axis=-1)
    assert np.array_equal(points, data.inputs.flatten(1, 2).numpy())
    assert np.bincount(tensors["region"]).tolist() == [64] * 8
    table = pd.read_csv(tmp_path / "graphs/samples.csv")
    assert table["sample"].tolist() == data.sample_id.tolist()
    assert table["subject"].tolist() == data.subject.tolist()
    assert table["label"].tolist() == data.label.tolist()
    assert [data.classes[label] for label in table["label"]] == table["class"].tolist()


@pytest.mark.slow
def test_torch_geometric_reads_the_graphs_in_a_process_without_merec(merec, on_rendered, tmp_path):
    done = merec("export", *on_rendered, "format=pyg", "out=graphs")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "graphs"
    command = [sys.executable, "-c", SCRIPT]
    script = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert script.returncode == 0, script.stderr
    batch = json.loads(script.stdout)
    tensors = load_file(folder / "graphs.safetensors")
    table = pd.read_csv(folder / "samples.csv")
    for name, values in (("pos", tensors["pos"]), ("x", tensors["motion"])):
        assert np.array_equal(np.float32(batch[name]), values.reshape(-1, 3))
    samples, nodes = len(table), len(tensors["region"])
    assert batch["region"] == tensors["region"].tolist() * samples
    assert batch["batch"] == np.repeat(np.arange(samples), nodes).tolist()
    for name, column in (("y", "label"), ("subject", "subject"), ("sample", "sample")):
        assert batch[name] == table[column].tolist()
    assert [batch["classes"][label] for label in batch["y"]] == table["class"].tolist()


def test_an_export_is_private_and_says_whose_faces_it_is_derived_from(merec, on_small, tmp_path):
    done = merec("export", *on_small, "format=flow_maps")
    notice = (tmp_path / "runs/export/megc2019_flow-flow_maps/README.txt").read_text()
    for text in (done.stdout, notice):
        assert "derived from the faces of megc2019_flow" in text
        assert "licence" in text
    written = [*(tmp_path / "runs").rglob("*")]
    assert [file for file in written if stat.S_IMODE(file.stat().st_mode) & 0o077] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "format= is missing; choose pyg"),
        (["format=matlab"], "format=matlab is unknown; choose pyg"),
        (["format=pyg"], "holds flow maps, and points are made from frames"),
        (["format=flow_maps", "datamodule=depth"], "datamodule=depth has no effect"),
        (["format=flow_maps", "out=taken"], "out=taken is not empty"),
        (["format=flow_maps", "out=maps.png"], "named as a file"),
        (["format=flow_maps", "corpus.root=nowhere"], "does not exist"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line_and_leaves_nothing(
    merec, on_small, tmp_path, read_bytes, arguments, message
):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/notes.txt").write_text("mine")
    if "corpus.root=nowhere" in arguments:
        on_small = [text for text in on_small if not text.startswith("corpus.root=")]
    done = merec("export", *on_small, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert read_bytes(tmp_path) == {"taken/notes.txt": b"mine"}
