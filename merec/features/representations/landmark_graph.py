"""Landmarks of the face as nodes of a graph: where each is, and how the skin there moves."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from merec.features.augmentation import Augmentation
from merec.features.face_mesh import LANDMARKS, list_mirrored
from merec.features.onset_apex_features import Pair, require_depth
from merec.features.point_selection import smooth_depth_change
from merec.features.representations import Channels, Inputs, Parts, Representation
from merec.types import InputError

FEATURES = ("x", "y", "z", "u", "v", "dz", "track_x", "track_y")
SMOOTH = 3.0  # px of the crop: standard deviation of the Gaussian that motion is averaged with
LEAST = 1e-3  # px or mm: what is shorter is rounding, and not to be enlarged
_SIDEWAYS = [FEATURES.index(name) for name in ("x", "u", "track_x")]


def make_landmark_graph(
    pair: Pair, crops: Mapping[str, np.ndarray], motion: Mapping[str, np.ndarray], modality: str
) -> dict[str, np.ndarray]:
    """Describe each landmark by its place and its motion from onset to apex.

    Returns:
        `nodes` (468, 8) float32: x, y, z, the place in the onset (px of the crop), less the mean of all and
        over their largest radius; u, v, the optical flow there, and dz, the depth change, each an average of
        the skin around; track_x, track_y, how far MediaPipe's landmark itself moves, less the head's flow.
        In colour dz is 0, in depth all but dz. Flow, dz (of depth alone) and tracks are divided by their own
        root mean square over all landmarks.

    Raises:
        InputError: If the modality needs depth that is not there, or a node is not finite.
    """
    onset, apex = crops["landmarks"][:, :LANDMARKS].astype(np.float64)
    size = crops["onset"].shape[0]
    nodes = np.zeros((LANDMARKS, len(FEATURES)))
    place = onset - onset.mean(axis=0)
    nodes[:, :3] = place / np.linalg.norm(place, axis=1).max()
    column, row = np.round(onset[:, :2]).astype(int).clip(0, size - 1).T
    face = motion["face"]
    if modality in ("rgb", "fused"):
        flow = motion["flow"].astype(np.float32)
        smooth = [smooth_depth_change(flow[..., axis], face, SMOOTH) for axis in (0, 1)]
        nodes[:, 3:5] = np.stack(smooth, axis=-1)[row, column]
        nodes[:, 6:] = (apex - onset)[:, :2] - motion["head"].astype(np.float32)[row, column]
    if modality in ("depth", "fused"):
        require_depth(pair, crops, f"modality {modality}")
        change = motion["dz"].astype(np.float32)
        nodes[:, 5] = smooth_depth_change(change, motion["known"] & face, SMOOTH)[row, column]
    moves = nodes[:, 5:6] if modality == "depth" else nodes[:, 3:5]
    nodes[:, 3:6] /= _measure_length(moves)
    nodes[:, 6:] /= _measure_length(nodes[:, 6:])
    if not np.isfinite(nodes).all():
        raise InputError(
            f"sample {pair.sample_id} has landmarks that are no finite numbers; look at it (merec inspect "
            f"{pair.sample_id} corpus=…), and leave it out: corpus.exclude"
        )
    return {"nodes": nodes.astype(np.float32)}


def _measure_length(moves: Float[np.ndarray, "nodes axes"]) -> float:
    """Return the root mean square length of some motion, at least `LEAST`."""
    return max(LEAST, float(np.sqrt(np.square(moves).sum(axis=1).mean())))


class LandmarkGraph(Representation):
    """MediaPipe's 468 landmarks with place and motion; the edges are those of its mesh, the same for all."""

    name = "landmark_graph"
    arrays: ClassVar[Mapping[str, str]] = {"nodes": "nodes"}
    makers = (make_landmark_graph,)
    channel_axis = -1
    augmentations = ("rotation",)
    motion: ClassVar[tuple[str, ...]] = FEATURES[3:]

    def channels(self, modality: str, views: Sequence[str] | None = None) -> Channels:
        """Return the names of the features of a node."""
        return (FEATURES,)

    def example_shape(self, modality: str) -> tuple[int, ...]:
        """Return the shape of a face."""
        return (LANDMARKS, len(FEATURES))

    def make(self, parts: Parts) -> dict[str, np.ndarray]:
        """Compute the nodes of one sample."""
        return make_landmark_graph(parts.pair, parts.crops, parts.motion, parts.modality)

    def locate(self, parts: Parts) -> np.ndarray:
        """Return column and row of each landmark in the onset."""
        return parts.crops["landmarks"][0, :LANDMARKS, :2]

    def augment(
        self, inputs: Inputs, channels: Channels, settings: Augmentation, generators: Sequence[Any]
    ) -> Inputs:
        """Mirror and turn faces."""
        import torch

        from merec.features.point_transforms import draw_angle, draw_luck, turn_motion_and_place

        (nodes,) = inputs
        drawn = draw_luck(generators)
        if settings.flip:
            sign = torch.ones(len(FEATURES))
            sign[_SIDEWAYS] = -1
            flipped = (drawn[:, 0] < settings.flip)[:, None, None]
            nodes = torch.where(flipped, nodes[:, list(list_mirrored())] * sign, nodes)
        if settings.rotate:
            nodes = turn_motion_and_place(nodes, FEATURES, draw_angle(drawn, settings))
        return (nodes,)
