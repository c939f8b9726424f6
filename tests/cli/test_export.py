"""Test that other software reads what `merec export` writes, and that nothing is left half-written."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from merec.config import build, compose_node
from merec.config_groups import home, list_choices
from merec.corpora import read_megc2019_flow
from merec.errors import InputError
from merec.export import onnx_network
from merec.features.representations import open_representation
from merec.restore import restore
from merec.types import Corpus

CLASSES = ("negative", "positive", "surprise")
# Follows the script of the page, in a process without merec.
PRINT = """
import json
batch = next(iter(DataLoader(graphs, batch_size=len(graphs))))
print(json.dumps({
    "pos": batch.pos.tolist(), "x": batch.x.tolist(), "region": batch.region.tolist(),
    "y": batch.y.tolist(), "batch": batch.batch.tolist(), "edges": batch.edge_index.tolist(),
    "subject": [graphs.subjects[number] for number in batch.subject],
    "sample": [graphs.sample_ids[number] for number in batch.sample],
    "classes": graphs.classes,
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
    """Name the small rendered corpus."""
    find_local("face_landmarker")
    features = f"features.root={shared_folder / 'features'}"
    return ["corpus=synthetic", f"corpus.root={rendered}", features]


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
    on_rendered.append("features.points.k=64")
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
def test_exported_landmarks_have_the_mesh_as_edges(merec, on_rendered, tmp_path):
    choices = ("representation=landmark_graph", "datamodule=rgb")
    done = merec("export", *on_rendered, "format=pyg", *choices, "out=graphs")
    assert done.returncode == 0, done.stderr
    code = "from dataset import MotionGraphs; print(MotionGraphs()[3].validate())"
    command = [sys.executable, "-c", f"import sys; sys.modules['merec'] = None; {code}"]
    script = subprocess.run(
        command, cwd=tmp_path / "graphs", capture_output=True, text=True, check=False
    )
    assert script.returncode == 0, script.stderr
    tensors = load_file(tmp_path / "graphs/graphs.safetensors")
    assert sorted(tensors) == ["edge_index", "motion", "pos"]
    assert tensors["pos"].shape[1:] == (468, 3)
    edges = {tuple(edge) for edge in tensors["edge_index"].T.tolist()}
    assert {edge[::-1] for edge in edges} == edges
    assert {node for edge in edges for node in edge} == {*range(468)}


@pytest.mark.slow
def test_torch_geometric_reads_the_graphs_in_a_process_without_merec(merec, on_rendered, tmp_path):
    done = merec("export", *on_rendered, "features.points.k=64", "format=pyg", "out=graphs")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "graphs"
    page = (home() / "docs/howto/export.md").read_text(encoding="utf-8")
    lines = page.partition("```python\n")[2].partition("```")[0]
    code = f"import sys\nsys.modules['merec'] = None\n{lines}{PRINT}"
    command = [sys.executable, "-c", code]
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
    place = np.array([batch["batch"], batch["region"]])
    start, end = np.array(batch["edges"])
    assert np.array_equal(place[:, start], place[:, end])  # no edge leaves its graph or region
    assert np.bincount(end).tolist() == [8] * len(batch["pos"])
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
        (["format=flow_maps", "representation=points"], "representation=points does not go with"),
        (["format=flow_maps", "out=taken"], "out=taken is not empty"),
        (["format=flow_maps", "out=maps.png"], "named as a file"),
        (["format=flow_maps", "corpus.root=nowhere"], "does not exist"),
        (["format=flow_maps", "runs/loso"], "runs/loso has no effect on format=flow_maps"),
        (["format=onnx"], "needs one run or checkpoint, not 0"),
        (["format=onnx", "nowhere"], "checkpoint=nowhere does not exist"),
        (["format=onnx", "taken"], "checkpoint=taken/checkpoint.ckpt does not exist"),
        (["format=onnx", "nowhere", "features.points.k=8"], "does not know features.points.k=8"),
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


@pytest.fixture
def train(merec) -> Callable[..., Path]:
    """Train a network on everyone for one epoch and return its run folder."""

    def run(*overrides: str) -> Path:
        folder = Path.cwd() / "everyone"
        settings = ("task=finetune", "trainer=cpu", "trainer.max_epochs=1", "logger=none")
        done = merec("train", *overrides, *settings, f"hydra.run.dir={folder}")
        assert done.returncode == 0, done.stderr
        return folder

    return run


def compute_logits(file: Path, inputs: tuple[torch.Tensor, ...]) -> np.ndarray:
    """Compute logits by onnxruntime alone, by the names of the inputs in the file."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = json.loads(session.get_modelmeta().custom_metadata_map["inputs"])
    feed = {name: values.numpy() for name, values in zip(names, inputs, strict=True)}
    return session.run(["logits"], feed)[0]


@pytest.mark.slow
def test_an_exported_network_gives_the_logits_of_its_checkpoint(
    merec, on_small, train, composed, tmp_path
):
    data = build(composed(*on_small, "backbone=ststnet", "datamodule.scaling=unit").datamodule)
    run = train(*on_small, "backbone=ststnet", "datamodule.scaling=unit")
    done = merec("export", str(run), "format=onnx", "out=network")
    assert done.returncode == 0, done.stderr
    assert "largest difference from torch on 30 samples: " in done.stdout
    network = restore(run / "checkpoint.ckpt")
    file = tmp_path / "network/network.onnx"
    for samples in (1, 7):
        inputs = data.inputs[:samples]
        with torch.inference_mode():
            expected = network.backbone(inputs).numpy()
        assert np.abs(compute_logits(file, (inputs,)) - expected).max() < 1e-4
    metadata = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == list(CLASSES)
    assert json.loads(metadata["channels"]) == [list(data.channels)]
    assert (metadata["representation"], metadata["scaling"]) == ("flow_map", "unit")
    assert json.loads(metadata["scales"]) == [{"zero": [0.0], "one": [255.0]}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choices", "shapes"),
    [
        (
            ("backbone=lite_point_gcn", "datamodule=fused", "features.points.k=64"),
            [("points", [8, 64, 6])],
        ),
        (
            ("backbone=dual_view", "datamodule=rgb", "features.crops.size=64"),
            [("first", [3, 64, 64]), ("second", [3, 64, 64])],
        ),
    ],
    ids=["points", "views"],
)
def test_networks_of_points_and_of_views_are_exported(
    merec, on_rendered, train, choices, shapes, tmp_path
):
    run = train(*on_rendered, *choices, "datamodule.scaling=standard")
    done = merec("export", str(run), on_rendered[-1], "format=onnx", "out=network")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) <= 1e-4
    (file,) = tmp_path.rglob("network.onnx")
    inputs = onnxruntime.InferenceSession(file).get_inputs()
    assert [(value.name, value.shape[1:]) for value in inputs] == shapes
    assert {value.shape[0] for value in inputs} == {"batch"}


def test_a_sort_in_onnx_keeps_the_order_of_equal_values(tmp_path):
    class Ranks(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            order = values.sort(dim=1, descending=True, stable=True).indices
            return (values > 1).byte().sort(dim=1, descending=True, stable=True).indices, order

    values = torch.tensor([[0.0, 2, 1, 2, 0, 1, 2, 2], [3.0, 3, 3, 3, 3, 3, 3, 3]])
    file = tmp_path / "ranks.onnx"
    table = {torch.ops.aten.sort.stable: onnx_network._sort}
    with onnx_network._silence():
        torch.onnx.export(Ranks(), (values,), file, custom_translation_table=table, verbose=False)
    session = onnxruntime.InferenceSession(file)
    ranks = session.run(None, {session.get_inputs()[0].name: values.numpy()})
    for order, expected in zip(ranks, Ranks()(values), strict=True):
        assert np.array_equal(order, expected.numpy())


class Branches(torch.nn.Module):
    """Network that decides by its input."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values if values.sum() > 0 else -values


class Counts(torch.nn.Module):
    """Network whose size of a batch is a constant for the converter."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + torch.arange(values.shape[:1].numel())[:, None]


@pytest.mark.parametrize(
    ("network", "reason"),
    [(Branches(), ": Could not guard"), (Counts(), ", as its code fixes the size")],
)
def test_a_network_that_cannot_be_converted_is_refused_in_one_line(capfd, network, reason):
    message = f"^{type(network).__name__} cannot be exported as ONNX{reason}[^\n\x1b]*$"
    with pytest.raises(InputError, match=message):
        onnx_network._convert(onnx_network._Inputs(network), (torch.ones(3, 2),), ("values",))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted({*list_choices("backbone")} - {"htnet", "dual_view", "dual_view_tuned"})
)
def test_every_backbone_of_one_input_can_be_exported(name, tmp_path):
    make = build(compose_node("backbone", [f"backbone={name}"]))
    representation = open_representation(make.func.reads)
    ((*channels,),) = representation.channels("rgb")
    model = onnx_network._Inputs(make(in_channels=len(channels), num_classes=3)).eval()
    inputs = torch.randn(5, *representation.example_shape("rgb"))
    inputs[0, 1, 2:] = inputs[0, 1, :1]  # points that are drawn twice
    onnx_network._convert(model, (inputs,), ("inputs",)).save(tmp_path / "network.onnx")
    names, file = ("inputs",), tmp_path / "network.onnx"
    assert onnx_network._measure_difference(model, (inputs,), names, file) < 1e-4


def test_a_network_that_differs_is_not_kept(merec, on_small, train, tmp_path, monkeypatch):
    run = train(*on_small, "backbone=ststnet")
    monkeypatch.setattr(onnx_network, "TOLERANCE", -1.0)
    done = merec("export", str(run), "format=onnx", "out=network")
    assert done.returncode == 2
    assert "so the file is not kept" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "network").exists()


def test_without_the_extra_the_message_names_it(merec, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    done = merec("export", "nowhere", "format=onnx")
    assert done.returncode == 2
    assert "pip install 'merec[onnx]'" in done.stderr
