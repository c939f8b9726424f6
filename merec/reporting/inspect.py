"""Page of one sample out of the feature store: a sheet of pictures and a point cloud."""

import base64
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.features.intensity import estimate_by_motion
from merec.features.regions import REGIONS
from merec.features.representations.flow_map import compute_strain
from merec.files import atomic, write_text
from merec.presentation.figure_style import plain
from merec.reporting.page import fill
from merec.reporting.point_cloud import REGION_COLOURS, write_cloud
from merec.reporting.sample_sheets import SOURCE, name_sheet
from merec.types import Corpus, InputError

log = logging.getLogger(__name__)
# What full colour stands for at the least, so that noise stays pale.
_LEAST_FLOW, _LEAST_DEPTH = 0.25, 2.0  # px; mm, of which sensors give whole ones
_NOTHING = "#bbbbbb"  # where nothing is measured
_DPI = 100


@runtime_checkable
class Source(Protocol):
    """Source of the features of samples: a `FeatureStore`."""

    def load_sample(self, corpus: Corpus, row: int) -> dict[str, np.ndarray]:
        """Return crops and motion of a sample; see `make_crops` and `make_motion`."""


def inspect_sample(corpus: Corpus, row: int, store: Source, out: Path) -> tuple[Path, Path]:
    """Write a sheet (PNG) and a cloud of points (HTML, self-contained, 5 MB of which plotly is 4).

    Args:
        corpus: Corpus of frames.
        row: Position in its index.
        store: Has or makes the features.
        out: Folder to write to.

    Returns:
        Both files, named after the sample.

    Raises:
        InputError: If there is no such row, or the sample's features cannot be made.
    """
    title = describe_sample(corpus, row)
    arrays = store.load_sample(corpus, row)
    sample_id = str(corpus.index.iloc[row]["sample_id"])
    name = name_sheet(sample_id)
    sheet, cloud = out / f"{name}.png", out / f"{name}.html"
    with atomic(sheet) as part:
        source = str(corpus.index.iloc[row]["corpus"])
        part.write_bytes(_to_png(draw_sheet(arrays, title), {SOURCE: source}))
    write_text(cloud, write_cloud(arrays, corpus.camera, title))
    return sheet, cloud


def inspect_corpus(corpus: Corpus, store: Source, count: int, out: Path) -> Path:
    """Write a page with the sheets of several samples, evenly spread over the index.

    A sample whose features cannot be made is listed with the reason.

    Args:
        corpus: Corpus of frames.
        store: Has or makes the features.
        count: Samples to show; all, if there are no more.
        out: Folder to write to.

    Returns:
        The page, which needs no other file and no network.

    Raises:
        InputError: If `count` is less than 1, the corpus is empty, or the features of none of the samples can
            be made.
    """
    total = len(corpus.index)
    if count < 1 or not total:
        raise InputError(
            f"{count} of {total} samples to look at; expected at least 1 of each: set count=9"
        )
    rows = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int)).tolist()
    samples = []
    reasons: list[InputError] = []
    for row in rows:
        sample = {"title": describe_sample(corpus, row), "png": "", "reason": ""}
        try:
            png = _to_png(draw_sheet(store.load_sample(corpus, row), sample["title"]))
            sample["png"] = base64.b64encode(png).decode()
        except InputError as error:
            reasons.append(error)
            sample["reason"] = str(error)
        samples.append(sample)
    if len(reasons) == len(rows):
        raise InputError(f"none of {len(rows)} samples can be shown: {reasons[0]}") from reasons[0]
    for reason in reasons:
        log.warning("%s", reason)
    heading = f"{corpus.protocol.name}: {len(rows)} of {total} samples"
    page = out / "samples.html"
    write_text(page, fill("sheets.html", heading=heading, note="", samples=samples))
    return page


def describe_sample(corpus: Corpus, row: int) -> str:
    """Describe a sample in a line: its id, emotion, action units and frames.

    Raises:
        InputError: If there is no such row.
    """
    total = len(corpus.index)
    if not 0 <= row < total:
        raise InputError(
            f"row={row}, but {corpus.protocol.name} has {total} samples: 0 to {total - 1}"
        )
    fields: pd.Series = corpus.index.iloc[row]
    coded = fields.get("action_units")
    units = "+".join(map(str, coded or ()))
    parts = [
        str(fields["sample_id"]),
        str(fields.get("emotion", corpus.protocol.classes[int(fields["label"])])),
        f"AU {units}" if units else f"{'no' if coded == () else 'unknown'} action unit",
    ]
    if "onset" in fields:
        parts.append(f"frames {fields['onset']} → {fields['apex']}")
    return " · ".join(parts)


def draw_sheet(arrays: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw frames, difference, regions; flow, strain, depth and its change.

    Args:
        arrays: Arrays of `make_crops` and `make_motion`.
        title: Goes above, with the movement of the head and of the region that moves most.
    """
    figure = Figure(figsize=(13, 7.2), layout="constrained")
    panels = figure.subplots(2, 4).ravel()
    onset, apex, face = arrays["onset"], arrays["apex"], arrays["face"]
    flow = arrays["flow"].astype(np.float32)
    panels[0].imshow(onset)
    panels[0].set_title("onset")
    panels[1].imshow(apex)
    panels[1].set_title("apex")
    change = (apex.astype(np.float32) - onset).mean(axis=-1)
    _show_signed(panels[2], change, np.ones_like(face), "apex − onset, grey levels", 4.0)
    _show_regions(panels[3], onset, arrays["regions"])
    most = _find_most(np.linalg.norm(flow, axis=-1)[face])
    seen = np.dstack([color_flow(flow, most), face])  # beyond the face there is noise
    panels[4].imshow(seen)
    panels[4].set_facecolor(_NOTHING)
    panels[4].set_title(f"flow, full colour = {most:.2f} px")
    _draw_wheel(panels[4])
    strain = np.where(face, compute_strain(flow[..., 0], flow[..., 1]), np.nan)
    strongest = _find_most(strain[face], 0.05)
    image = panels[5].imshow(strain, cmap="magma", vmin=0, vmax=strongest)
    panels[5].set_facecolor(_NOTHING)
    panels[5].set_title("optical strain")
    figure.colorbar(image, ax=panels[5], shrink=0.7)
    if "depth" in arrays:
        _show_depth(panels[6], arrays["depth"][0].astype(np.float32), face)
        dz = arrays["dz"].astype(np.float32)
        _show_signed(panels[7], dz, arrays["known"] & face, "dz, mm (+ is away)", _LEAST_DEPTH)
    else:
        for axes, name in zip(panels[6:], ("depth", "dz"), strict=True):
            axes.set_title(name)
            axes.text(0.5, 0.5, "no depth", ha="center", transform=axes.transAxes)
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
    moves = estimate_by_motion(arrays, arrays)
    region = max(moves, key=lambda name: moves[name])
    figure.suptitle(
        f"{plain(title)}\nthe head moves {float(arrays['shift'][0]):.2f} px of the crop; skin moves most in "
        f"the {region}, {moves[region]:.1f} % of the distance between the eyes"
    )
    return figure


def color_flow(flow: Float[np.ndarray, "height width 2"], most: float) -> np.ndarray:
    """Return flow as colours: the hue is the direction, still skin is white.

    Args:
        flow: u to the right, v down, px.
        most: px of full colour.

    Returns:
        RGB in 0..1 of shape (height, width, 3).
    """
    angle = np.arctan2(-flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1  # red is right, then upwards
    length = np.clip(np.linalg.norm(flow, axis=-1) / most, 0, 1)
    return mpl.colors.hsv_to_rgb(np.stack([angle, length, np.ones_like(angle)], axis=-1))


def _draw_wheel(axes: Axes) -> None:
    """Draw the key to the colours, in the panel's corner."""
    v, u = np.mgrid[-1:1:64j, -1:1:64j]
    colors = np.dstack([color_flow(np.dstack([u, v]), 1.0), np.hypot(u, v) <= 1])
    key = axes.inset_axes((0.8, 0.01, 0.19, 0.19))
    key.imshow(colors)
    key.axis("off")


def _show_signed(axes: Axes, field: np.ndarray, where: np.ndarray, name: str, least: float) -> None:
    most = _find_most(np.abs(field[where]), least)
    masked = np.where(where, field, np.nan)
    image = axes.imshow(masked, cmap="RdBu_r", vmin=-most, vmax=most)
    axes.set_facecolor(_NOTHING)
    axes.set_title(name)
    axes.figure.colorbar(image, ax=axes, shrink=0.7)


def _show_regions(axes: Axes, image: np.ndarray, regions: np.ndarray) -> None:
    axes.imshow(image)
    for color, mask, name in zip(REGION_COLOURS, regions, REGIONS, strict=True):
        tint = np.zeros((*mask.shape, 4))
        tint[mask] = (*mpl.colors.to_rgb(color), 0.4)
        axes.imshow(tint)
        if mask.any():
            row, column = np.argwhere(mask).mean(axis=0)
            axes.text(column, row, name.replace(" ", "\n", 1), fontsize=6, ha="center", va="center")
    axes.set_title("regions (left is the image's)")


def _show_depth(axes: Axes, depth: np.ndarray, face: np.ndarray) -> None:
    valid = depth > 0
    of_face = depth[valid & face]
    low, high = np.percentile(of_face, (1, 99)) if len(of_face) else (0.0, 1.0)
    # Half as much again behind the face: ears and hair show, the wall is one colour.
    image = axes.imshow(
        np.where(valid, depth, np.nan), cmap="viridis_r", vmin=low, vmax=high + (high - low) / 2
    )
    axes.set_facecolor(_NOTHING)
    axes.figure.colorbar(image, ax=axes, shrink=0.7)
    axes.set_title(f"depth, face {low:.0f} to {high:.0f} mm; grey: none")


def _find_most(lengths: np.ndarray, least: float = _LEAST_FLOW) -> float:
    """Find what full colour stands for: nearly the largest value."""
    return max(float(np.percentile(lengths, 99)) if lengths.size else 0.0, least)


def _to_png(figure: Figure, facts: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata=dict(facts or {}))
    return buffer.getvalue()
