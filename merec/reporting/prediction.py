"""What was found in an unseen clip: a picture of where the motion was, facts as JSON, a few lines of text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec import __version__
from merec.evaluation.calibration import TEMPERATURES
from merec.features.footage import Footage
from merec.features.intensity import estimate_by_motion
from merec.features.spotting import Curve, Spotted
from merec.files import atomic, write_json
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, plain, tidy, wrap
from merec.presentation.notation import format_list
from merec.reporting.inspect import color_flow
from merec.reporting.sheets import name_sheet
from merec.targets.action_units import THRESHOLD
from merec.targets.target import Target

_LEAST = 0.25  # px of the crop that full colour stands for at the least, so that noise stays pale
_ARROWS = 14  # along each axis
_DPI = 110
NOTHING_TOLD = "no action unit"


class Calibration(NamedTuple):
    """Where the temperature of probabilities comes from.

    Attributes:
        source: Run whose held-out predictions it was fitted on.
        temperature: See `fit_temperature`; `None` if these predictions do not determine it.
        samples: How many predictions.
        unlike: Settings in which that run differs from what trained the network.
        scores: Its pooled UF1 and UAR on held-out subjects, where they are known.
    """

    source: str
    temperature: float | None
    samples: int
    unlike: list[str]
    scores: dict[str, float]


class Said(NamedTuple):
    """What a network said.

    Attributes:
        target: What it predicts, of which classes.
        probability: Of each, calibrated if that was possible.
        raw: Of each, as the network has it.
        calibration: `None` if there is none.
        checkpoint: File of the network.
        protocol: What it was trained on.
        name: Of the run that trained it.
    """

    target: Target
    probability: Float[np.ndarray, " classes"]
    raw: Float[np.ndarray, " classes"]
    calibration: Calibration | None
    checkpoint: str
    protocol: str
    name: str

    @property
    def named(self) -> list[str]:
        """The most probable class, or the action units that are there."""
        return self.target.list_predicted(self.probability)

    @property
    def answer(self) -> str:
        """The same in words."""
        return format_list(self.named) or NOTHING_TOLD


class Prediction(NamedTuple):
    """What was found in a clip.

    Attributes:
        footage: The clip.
        spotted: Its onset and apex.
        arrays: Crops and motion of these, see `make_crops` and `make_motion`.
        said: By the network; `None` without one.
        seconds: What took how long.
    """

    footage: Footage
    spotted: Spotted
    arrays: Mapping[str, np.ndarray]
    said: Said | None
    seconds: dict[str, float]


def write_prediction(prediction: Prediction, out: Path) -> tuple[Path, Path]:
    """Write a picture (PNG) and the facts (JSON), named after the clip.

    Returns:
        Both files.
    """
    name = name_sheet(prediction.footage.name)
    picture, facts = out / f"{name}.png", out / f"{name}.json"
    with atomic(picture) as part:
        draw_prediction(prediction).savefig(part, dpi=_DPI)
    write_json(facts, collect_facts(prediction))
    return picture, facts


def collect_facts(prediction: Prediction) -> dict[str, Any]:
    """All that was found, for JSON."""
    footage, spotted, said = prediction.footage, prediction.spotted, prediction.said
    frames = {
        name: {
            "frame": int(footage.numbers[position]),
            "second": round(footage.second(position), 4),
        }
        for name, position in (
            ("onset", spotted.onset),
            ("apex", spotted.apex),
            ("offset", spotted.offset),
        )
    }
    facts: dict[str, Any] = {
        "clip": str(footage.path),
        "frames": len(footage.numbers),
        "first": int(footage.numbers[0]),
        "last": int(footage.numbers[-1]),
        "fps": footage.fps,
        "seconds": round(footage.duration, 4),
        **frames,
        "movement": {
            "unit": "hundredths of the distance between the eyes",
            "apex": round(spotted.movement, 4),
            "noise": round(spotted.noise, 4),
            "contrast": round(spotted.contrast, 2) if np.isfinite(spotted.contrast) else None,
            "regions": {
                name: round(value, 4) for name, value in _measure_regions(prediction).items()
            },
        },
        "face": round(spotted.face, 1),
        "curve": _list_curve(spotted.curve, footage),
        "overview": spotted.overview and _list_curve(spotted.overview, footage),
        "prediction": said and _describe_said(said),
        "notes": footage.notes,
        "took": {name: round(value, 3) for name, value in prediction.seconds.items()},
        "merec": __version__,
    }
    return facts


def _describe_said(said: Said) -> dict[str, Any]:
    calibration = said.calibration

    def name(values: np.ndarray) -> dict[str, float]:
        return {each: float(value) for each, value in zip(said.target.classes, values, strict=True)}

    return {
        said.target.name: said.target.to_answer(said.named),
        "probability": name(said.probability),
        "uncalibrated": name(said.raw),
        "calibration": calibration and calibration._asdict(),
        "checkpoint": said.checkpoint,
        "trained_on": said.protocol,
        "network": said.name,
    }


def _list_curve(curve: Curve, footage: Footage) -> dict[str, list]:
    return {
        "frame": [int(footage.numbers[position]) for position in curve.positions],
        "second": np.round(curve.seconds, 4).tolist(),
        "movement": np.round(curve.movement, 4).tolist(),
        "transience": np.round(curve.transience, 4).tolist(),
        "seen": curve.seen.tolist(),
    }


def _measure_regions(prediction: Prediction) -> dict[str, float]:
    return estimate_by_motion(prediction.arrays, prediction.arrays)


def describe_prediction(prediction: Prediction, files: tuple[Path, Path]) -> str:
    """A few lines for the terminal."""
    footage, spotted, said = prediction.footage, prediction.spotted, prediction.said
    onset, apex = (footage.numbers[position] for position in (spotted.onset, spotted.apex))
    moves = _measure_regions(prediction)
    most = max(moves, key=lambda name: moves[name])
    lines = [
        f"{footage.path}: {len(footage.numbers)} frames, {footage.duration:.2f} s at {footage.fps:g} "
        "frames/s",
        f"onset frame {onset} ({footage.second(spotted.onset):.2f} s), apex frame {apex} "
        f"({footage.second(spotted.apex):.2f} s); skin moves most in the {most}, {moves[most]:.1f} % of the "
        "distance between the eyes",
    ]
    if said is not None:
        lines.append(f"{said.target.title}: {said.answer} ({describe_calibration(said)})")
        order = np.argsort(-said.probability)
        width = max(map(len, said.target.classes))
        lines += [
            f"  {said.target.classes[at]:{width}}  {said.probability[at]:.2f}" for at in order
        ]
        scores = said.calibration.scores if said.calibration else {}
        if scores:
            lines.append(
                f"such networks reach UF1 {scores['uf1']:.2f}, UAR {scores['uar']:.2f} on held-out subjects "
                f"of {said.protocol}"
            )
    lines += [f"note: {note}" for note in footage.notes]
    took = prediction.seconds
    lines += [str(file) for file in files]
    lines.append(f"{sum(took.values()):.1f} s, {took['spotting']:.1f} of them to find the apex")
    return "\n".join(lines) + "\n"


def describe_calibration(said: Said) -> str:
    """Say whether probabilities are calibrated and by what, or why they are not."""
    calibration = said.calibration
    if said.target.multilabel:
        return f"not calibrated; there from a probability of {THRESHOLD:g} on"
    if calibration is None:
        return "not calibrated: calibration=RUN names a finished task=loso run of the same network"
    predictions = f"{calibration.samples} held-out predictions of {calibration.source}"
    if calibration.temperature is None:
        least, most = TEMPERATURES
        return (
            f"not calibrated: temperature not determined by the {predictions}, which are all right, or no "
            f"better than guessing, so that none from {least:g} to {most:g} makes them most likely; give a "
            "run with more samples"
        )
    text = f"calibrated by {predictions}, temperature {calibration.temperature:.2f}"
    if calibration.unlike:
        text += f"; that run differs in {', '.join(calibration.unlike[:3])}"
        text += f" and {len(calibration.unlike) - 3} more" * (len(calibration.unlike) > 3)
    return text


def draw_prediction(prediction: Prediction) -> Figure:
    """Onset, apex, flow between them, the movement in the course of the clip, and the probabilities."""
    footage, spotted, said = prediction.footage, prediction.spotted, prediction.said
    figure = Figure(figsize=(12, 7.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(1.35, 1))
    onset, apex = (footage.numbers[position] for position in (spotted.onset, spotted.apex))
    faces = [figure.add_subplot(grid[0, column]) for column in range(3)]
    for axes, name, number in zip(faces, ("onset", "apex"), (onset, apex), strict=False):
        axes.imshow(prediction.arrays[name])
        axes.set_title(f"{name}, frame {number}", fontsize=MEDIUM)
    _draw_flow(faces[2], prediction.arrays)
    for axes in faces:
        axes.set_xticks([])
        axes.set_yticks([])
    wide = 3 if said is None else 2
    below = grid[1, :wide].subgridspec(1 if spotted.overview is None else 2, 1, hspace=0.08)
    _draw_course(figure.add_subplot(below[0]), prediction)
    if spotted.overview is not None:
        _draw_overview(figure.add_subplot(below[1]), spotted)
    if said is not None:
        _draw_probabilities(figure.add_subplot(grid[1, 2]), said)
    moves = _measure_regions(prediction)
    most = max(moves, key=lambda name: moves[name])
    share = f"{moves[most]:.1f} % of the distance between the eyes"
    title = f"{footage.name}: skin moves most in the {most}, {share}"
    if said is not None:
        title = f"{said.answer} · {title}"
    figure.suptitle(plain(title), fontsize=MEDIUM + 2)
    if footage.notes:
        figure.supxlabel(wrap("; ".join(footage.notes), 170), fontsize=SMALL, color=GREY)
    return figure


def _draw_flow(axes: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    """Flow as colour over the face, and as arrows."""
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
    """The movement frame by frame, with onset and apex."""
    footage, spotted = prediction.footage, prediction.spotted
    curve = spotted.curve
    movement = np.where(curve.seen, curve.movement, np.nan)
    axes.plot(curve.seconds, movement, color=COLOURS[0], marker=".", markersize=3)
    # One name low, one high, for a rise may take three frames.
    for name, position, colour, height in (
        ("onset", spotted.onset, GREY, 0.06),
        ("apex", spotted.apex, COLOURS[5], 0.95),
    ):
        at = footage.second(position)
        axes.axvline(at, color=colour, linewidth=1.2)
        text = f" {name} {footage.numbers[position]}"
        place = axes.get_xaxis_transform()
        axes.text(at, height, text, transform=place, fontsize=SMALL, color=colour)
    axes.axhspan(-spotted.noise, spotted.noise, color=GREY, alpha=0.15, linewidth=0)
    axes.set_ylabel("% of the distance\nbetween the eyes", fontsize=SMALL)
    axes.set_xlabel("s; movement as at the apex; grey: noise from frame to frame", fontsize=SMALL)
    tidy(axes, "y")


def _draw_overview(axes: Axes, spotted: Spotted) -> None:
    """How transient the movement is in the whole of a long clip."""
    curve = spotted.overview
    assert curve is not None
    axes.plot(curve.seconds, curve.transience, color=COLOURS[2], linewidth=0.8)
    near = spotted.curve.seconds
    axes.axvspan(float(near[0]), float(near[-1]), color=COLOURS[5], alpha=0.25, linewidth=0)
    axes.set_ylabel("there and back,\nwhole clip", fontsize=SMALL)
    axes.set_xlabel("s", fontsize=SMALL)
    tidy(axes, "y")


def _draw_probabilities(axes: Axes, said: Said) -> None:
    """A bar per class."""
    places = np.arange(len(said.target.classes))
    colours = [COLOURS[0] if name in said.named else GREY for name in said.target.classes]
    axes.barh(places, said.probability, color=colours)
    for place, value in zip(places, said.probability, strict=True):
        axes.annotate(f" {value:.2f}", (value, place), fontsize=SMALL, va="center")
    axes.set_yticks(places, [plain(name) for name in said.target.classes], fontsize=MEDIUM)
    axes.set_xlim(0, 1.12)
    axes.invert_yaxis()
    state = "not calibrated"
    if said.calibration is not None and said.calibration.temperature is not None:
        state = f"calibrated, temperature {said.calibration.temperature:.2f}"
    axes.set_title(f"probability ({state})", fontsize=MEDIUM)
    tidy(axes, "x")
