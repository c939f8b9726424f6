"""Explain predictions of a network on samples of a corpus, judged by the truth of rendered faces."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from scipy.spatial import KDTree

from merec.explain.point_importance import explain
from merec.features import FeatureStore
from merec.features.alignment import Alignment
from merec.features.representations import Parts
from merec.restore import Network
from merec.synthetic.ground_truth import read_ground_truth
from merec.synthetic.manifest import MANIFEST
from merec.synthetic.true_motion import find_moving
from merec.tasks.occlusion import MOTION, measure_importance
from merec.types import Corpus, Frames, InputError

NEIGHBOURS = 8  # points of the crop over which importance is averaged


@dataclass(frozen=True)
class ExplainedSample:
    """Explanation of the prediction for one sample.

    Attributes:
        sample_id: Name of the sample.
        subject: Its subject.
        predicted: Names of the predicted class or action units.
        onset: Crop of the onset.
        place: Column and row of each point, px of the crop.
        importance: Importance of each place: the mean over its nearest points, as a maximum over the points
            of a region picks single ones out of many that move alike.
        regions: Loss of probability if a region is at rest, see `measure_importance`; empty without regions.
        moving: Whether the skin truly moves at each place; `None` for faces that were not rendered.
        length: Length of the measured motion at each place, the control.
    """

    sample_id: str
    subject: str
    predicted: tuple[str, ...]
    onset: UInt8[np.ndarray, "size size 3"]
    place: Float[np.ndarray, "points 2"]
    importance: Float[np.ndarray, " points"]
    regions: Float[np.ndarray, " regions"]
    moving: Bool[np.ndarray, " points"] | None
    length: Float[np.ndarray, " points"]

    def rank(self, value: Float[np.ndarray, " points"]) -> float:
        """Return the AUC of a value of each place for the truly moving places; NaN if it cannot be told."""
        from sklearn.metrics import roc_auc_score

        if self.moving is None or self.moving.all() or not self.moving.any():
            return float("nan")
        return float(roc_auc_score(self.moving, value))


def choose_rows(corpus: Corpus, unseen: list[str], count: int) -> Int[np.ndarray, " rows"]:
    """Choose samples to explain, spread evenly over those with motion whose subjects were held out.

    Args:
        corpus: Corpus of the samples.
        unseen: Subjects that the network never saw; if there are none in the corpus, all subjects.
        count: Number of samples.

    Raises:
        InputError: If the corpus has no frames, or no sample has motion.
    """
    index = corpus.index
    if "onset" not in index:
        raise InputError(
            f"{corpus.protocol.name} has flow maps and no frames, so no points can be explained; give "
            "corpus=NAME of a corpus of frames"
        )
    moves = (index["onset"] != index["apex"]).to_numpy(bool)
    held_out = index["subject"].isin(unseen).to_numpy(bool)
    rows = np.flatnonzero(moves & held_out if held_out.any() else moves)
    if not len(rows):
        raise InputError(
            f"no sample of {corpus.protocol.name} has motion that could be explained; give another corpus"
        )
    return np.unique(rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)])


def explain_samples(
    network: Network, corpus: Corpus, store: FeatureStore, method: str
) -> Iterator[ExplainedSample]:
    """Explain the prediction for each sample of a corpus.

    Args:
        network: Trained network.
        corpus: The samples.
        store: Features with the settings of the training.
        method: Method of `explain`.

    Raises:
        InputError: If the network reads neither points nor landmarks, or the corpus has no frames.
    """
    pairs, kind = store.list_pairs(corpus), network.representation
    data = network.show(corpus, store)
    rows = {name: number for number, name in enumerate(data.sample_id.tolist())}
    for number, pair in enumerate(pairs):
        if pair.sample_id not in rows:  # its features could not be made; a warning says why
            continue
        assert isinstance(data.inputs, torch.Tensor)  # points and landmarks are one input
        inputs = data.inputs[[rows[pair.sample_id]]]
        arrays = store.load_sample(corpus, number)
        parts = Parts(pair, {}, arrays, arrays, store.settings, network.modality, ())
        importance = explain(network.backbone, network.target, kind, inputs, method)
        place = kind.locate(parts).reshape(-1, 2).astype(np.float64)
        nearest = KDTree(place).query(place, k=min(NEIGHBOURS, len(place)))[1]
        regions = np.empty(0)
        if kind.has_regions:
            rest = torch.zeros(1, 1, 1, inputs.shape[-1])
            given = network.backbone, network.target, inputs, rest
            regions = measure_importance(*given)[0].double().numpy()
        motion = inputs[0][..., MOTION.start : MOTION.start + 3]
        with torch.inference_mode():
            decided = network.target.decide(network.backbone(inputs))[0]
        yield ExplainedSample(
            pair.sample_id,
            str(corpus.index.iloc[number]["subject"]),
            _name(decided.tolist(), network.target.classes),
            arrays["onset"],
            place,
            importance.ravel()[nearest].reshape(len(place), -1).mean(axis=1),
            regions,
            _read_truth(corpus, number, Alignment(arrays["matrix"], len(arrays["onset"])), place),
            motion.norm(dim=-1).flatten().double().numpy(),
        )


def take_rows(corpus: Corpus, rows: Int[np.ndarray, " rows"]) -> Corpus:
    """Return some samples of a corpus of frames."""
    return replace(corpus, index=corpus.index.iloc[rows].reset_index(drop=True))


def _name(decided: int | list[int], classes: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(decided, list):
        return tuple(name for name, there in zip(classes, decided, strict=True) if there)
    return (classes[decided],)


def _read_truth(
    corpus: Corpus, row: int, alignment: Alignment, place: Float[np.ndarray, "points 2"]
) -> Bool[np.ndarray, " points"] | None:
    """Return where the skin of a rendered face truly moves; `None` for other faces."""
    sample = corpus.index.iloc[row]
    frames: Frames = sample["color"]
    root = _find_root(frames.folder)
    if root is None or corpus.camera is None:
        return None
    clip = frames.folder.parent.relative_to(root)
    truth = read_ground_truth(root, str(clip))
    at = np.flatnonzero((truth.onset == sample["onset"]) & (truth.apex == sample["apex"]))
    if not len(at):  # key frames were shifted
        return None
    onset, apex = (
        positions[at[0]].astype(np.float64) for positions in (truth.at_onset, truth.at_apex)
    )
    return find_moving(onset, apex, corpus.camera, alignment.to_frame(place))


def _find_root(folder: Path) -> Path | None:
    """Return the folder of a rendered corpus that holds a folder of frames; `None` if none does."""
    return next((parent for parent in folder.parents if (parent / MANIFEST).exists()), None)
