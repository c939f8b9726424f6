"""Files of the prediction of a new clip: a picture of the motion, and the facts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.features.spotting import Spotted
from merec.files import atomic, write_json
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, plain, tidy, wrap
from merec.reporting.inspect import color_flow
from merec.reporting.prediction import Prediction, TargetPrediction, collect_facts, measure_regions
from merec.reporting.sample_sheets import name_sheet

_LEAST = 0.25  # px of the crop that full colour stands for at the least, so that noise stays pale
_ARROWS = 14  # along each axis
_DPI = 110


def write_prediction(prediction: Prediction, out: Path) -> tuple[Path, Path]:
    """Write a picture (PNG) and the facts (JSON), named after the clip.

    Returns:
        Paths of both files.
    """
    name = name_sheet(prediction.input_clip.name)
    picture, facts = out / f"{name}.png", out / f"{name}.json"
    with atomic(picture) as part:
        draw_prediction(prediction).savefig(part, dpi=_DPI)
    write_json(facts, collect_facts(prediction))
    return picture, facts


def draw_prediction(prediction: Prediction) -> Figure:
    """Draw onset, apex, the flow between them, the course of the movement, and the probabilities."""
    clip, spotted, answer = prediction.input_clip, prediction.spotted, prediction.answer
    figure = Figure(figsize=(12, 7.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(1.35, 1))
    onset, apex = (clip.numbers[position] for position in (spotted.onset, spotted.apex))
    faces = [figure.add_subplot(grid[0, column]) for column in range(3)]
    for axes, name, number in zip(faces, ("onset", "apex"), (onset, apex), strict=False):
        axes.imshow(prediction.arrays[name])
        axes.set_title(f"{name}, frame {number}", fontsize=MEDIUM)
    _draw_flow(faces[2], prediction.arrays)
    for axes in faces:
        axes.set_xticks([])
        axes.set_yticks([])
    wide = 3 if answer is None else 2
    below = grid[1, :wide].subgridspec(1 if spotted.overview is None else 2, 1, hspace=0.08)
    _draw_course(figure.add_subplot(below[0]), prediction)
    if spotted.overview is not None:
        _draw_overview(figure.add_subplot(below[1]), spotted)
    if answer is not None:
        _draw_probabilities(figure.add_subplot(grid[1, 2]), answer)
    moves = measure_regions(prediction)
    most = max(moves, key=lambda name: moves[name])
    share = f"{moves[most]:.1f} % of the distance between the eyes"
    title = f"{clip.name}: skin moves most in the {most}, {share}"
    if answer is not None:
        title = f"{answer.answer} · {title}"
    figure.suptitle(plain(title), fontsize=MEDIUM + 2)
    if clip.notes:
        figure.supxlabel(wrap("; ".join(clip.notes), 170), fontsize=SMALL, color=GREY)
    return figure


def _draw_flow(axes: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    """Draw flow as colour over the face, and as arrows."""
    flow, face = arrays["flow"].astype(np.float32), arrays["face"]
    length = np.linalg.norm(flow, axis=-1)
    most = max(float(np.percentile(length[face], 99)) if face.any() else 0.0, _LEAST)
    grey = arrays["onset"].mean(axis=-1, keepdims=True).repeat(3, axis=-1) / 255
    strength = (np.clip(length / most, 0, 1) * face)[..., None]
    axes.imshow((1 - 0.75 * strength) * grey + 0.75 * strength * color_flow(flow, most))
    size = len(face)
    step = size // _ARROWS
    row, column = np.mgrid[step // 2 : size : step, step // 2 : size : step]
    long = face[row, column] & (length[row, column] > most / 4)
    row, column = row[long], column[long]
    u, v = flow[row, column].T
    axes.quiver(
        column, row, u, v, angles="xy", scale_units="xy", scale=most / (1.5 * step), width=0.005
    )
    axes.set_title(f"motion without the head's, full colour = {most:.2f} px", fontsize=MEDIUM)


def _draw_course(axes: Axes, prediction: Prediction) -> None:
    """Draw the movement frame by frame, with onset and apex."""
    clip, spotted = prediction.input_clip, prediction.spotted
    curve = spotted.curve
    movement = np.where(curve.seen, curve.movement, np.nan)
    axes.plot(curve.seconds, movement, color=COLOURS[0], marker=".", markersize=3)
    # One name low, one high, for a rise may take three frames.
    for name, position, colour, height in (
        ("onset", spotted.onset, GREY, 0.06),
        ("apex", spotted.apex, COLOURS[5], 0.95),
    ):
        at = clip.second(position)
        axes.axvline(at, color=colour, linewidth=1.2)
        text = f" {name} {clip.numbers[position]}"
        place = axes.get_xaxis_transform()
        axes.text(at, height, text, transform=place, fontsize=SMALL, color=colour)
    axes.axhspan(-spotted.noise, spotted.noise, color=GREY, alpha=0.15, linewidth=0)
    axes.set_ylabel("% of the distance\nbetween the eyes", fontsize=SMALL)
    axes.set_xlabel("s; movement as at the apex; grey: noise from frame to frame", fontsize=SMALL)
    tidy(axes, "y")


def _draw_overview(axes: Axes, spotted: Spotted) -> None:
    """Draw the transience of the movement over the whole of a long clip."""
    curve = spotted.overview
    assert curve is not None
    axes.plot(curve.seconds, curve.transience, color=COLOURS[2], linewidth=0.8)
    near = spotted.curve.seconds
    axes.axvspan(float(near[0]), float(near[-1]), color=COLOURS[5], alpha=0.25, linewidth=0)
    axes.set_ylabel("there and back,\nwhole clip", fontsize=SMALL)
    axes.set_xlabel("s", fontsize=SMALL)
    tidy(axes, "y")


def _draw_probabilities(axes: Axes, answer: TargetPrediction) -> None:
    """Draw a bar per class."""
    places = np.arange(len(answer.target.classes))
    colours = [COLOURS[0] if name in answer.named else GREY for name in answer.target.classes]
    axes.barh(places, answer.probability, color=colours)
    for place, value in zip(places, answer.probability, strict=True):
        axes.annotate(f" {value:.2f}", (value, place), fontsize=SMALL, va="center")
    axes.set_yticks(places, [plain(name) for name in answer.target.classes], fontsize=MEDIUM)
    axes.set_xlim(0, 1.12)
    axes.invert_yaxis()
    state = "not calibrated"
    if answer.calibration is not None and answer.calibration.temperature is not None:
        state = f"calibrated, temperature {answer.calibration.temperature:.2f}"
    axes.set_title(f"probability ({state})", fontsize=MEDIUM)
    tidy(axes, "x")
