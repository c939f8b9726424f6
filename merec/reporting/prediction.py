"""Prediction of a new clip: facts for JSON, and a few lines of text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from merec import __version__
from merec.evaluation.reliability import TEMPERATURES
from merec.features.input_clip import InputClip
from merec.features.intensity import estimate_by_motion
from merec.features.spotting import Curve, Spotted
from merec.presentation.numbers_and_captions import format_list
from merec.targets import Target
from merec.targets.action_units import THRESHOLD

NOTHING_TOLD = "no action unit"


class Calibration(NamedTuple):
    """Origin of the temperature of probabilities.

    Attributes:
        source: Run on whose held-out predictions it was fitted.
        temperature: See `fit_temperature`; `None` if these predictions do not determine it.
        samples: Number of predictions.
        unlike: Settings in which this run differs from the run that trained the network.
        scores: Pooled UF1 and UAR of this run on held-out subjects, if known.
    """

    source: str
    temperature: float | None
    samples: int
    unlike: list[str]
    scores: dict[str, float]


class TargetPrediction(NamedTuple):
    """Prediction of a network for a clip.

    Attributes:
        target: Target of the network, with its classes.
        probability: Probability of each class or action unit, calibrated if possible.
        raw: Uncalibrated probability of each class or action unit.
        calibration: Calibration; `None` if there is none.
        checkpoint: File of the network.
        protocol: Protocol of the training data.
        name: Name of the run that trained it.
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
        """The most probable class, or the action units that are present."""
        return self.target.list_predicted(self.probability)

    @property
    def answer(self) -> str:
        """The prediction as text."""
        return format_list(self.named) or NOTHING_TOLD


class Prediction(NamedTuple):
    """Apex, features and prediction of a clip.

    Attributes:
        input_clip: The clip.
        spotted: Onset and apex of the clip.
        arrays: Crops and motion of onset and apex, see `make_crops` and `make_motion`.
        answer: Prediction of the network; `None` without one.
        seconds: Seconds of each step.
    """

    input_clip: InputClip
    spotted: Spotted
    arrays: Mapping[str, np.ndarray]
    answer: TargetPrediction | None
    seconds: dict[str, float]


def collect_facts(prediction: Prediction) -> dict[str, Any]:
    """Return all facts of a prediction, for JSON."""
    clip, spotted, answer = prediction.input_clip, prediction.spotted, prediction.answer
    frames = {
        name: {
            "frame": int(clip.numbers[position]),
            "second": round(clip.second(position), 4),
        }
        for name, position in (
            ("onset", spotted.onset),
            ("apex", spotted.apex),
            ("offset", spotted.offset),
        )
    }
    facts: dict[str, Any] = {
        "clip": str(clip.path),
        "frames": len(clip.numbers),
        "first": int(clip.numbers[0]),
        "last": int(clip.numbers[-1]),
        "fps": clip.fps,
        "seconds": round(clip.duration, 4),
        **frames,
        "movement": {
            "unit": "hundredths of the distance between the eyes",
            "apex": round(spotted.movement, 4),
            "noise": round(spotted.noise, 4),
            "contrast": round(spotted.contrast, 2) if np.isfinite(spotted.contrast) else None,
            "regions": {
                name: round(value, 4) for name, value in measure_regions(prediction).items()
            },
        },
        "face": round(spotted.face, 1),
        "curve": _list_curve(spotted.curve, clip),
        "overview": spotted.overview and _list_curve(spotted.overview, clip),
        "prediction": answer and _describe_answer(answer),
        "notes": clip.notes,
        "took": {name: round(value, 3) for name, value in prediction.seconds.items()},
        "merec": __version__,
    }
    return facts


def _describe_answer(answer: TargetPrediction) -> dict[str, Any]:
    calibration = answer.calibration

    def name(values: np.ndarray) -> dict[str, float]:
        return {
            class_name: float(value)
            for class_name, value in zip(answer.target.classes, values, strict=True)
        }

    return {
        answer.target.name: answer.target.to_answer(answer.named),
        "probability": name(answer.probability),
        "uncalibrated": name(answer.raw),
        "calibration": calibration and calibration._asdict(),
        "checkpoint": answer.checkpoint,
        "trained_on": answer.protocol,
        "network": answer.name,
    }


def _list_curve(curve: Curve, clip: InputClip) -> dict[str, list]:
    return {
        "frame": [int(clip.numbers[position]) for position in curve.positions],
        "second": np.round(curve.seconds, 4).tolist(),
        "movement": np.round(curve.movement, 4).tolist(),
        "transience": np.round(curve.transience, 4).tolist(),
        "seen": curve.seen.tolist(),
    }


def measure_regions(prediction: Prediction) -> dict[str, float]:
    """Return the displacement of each region of the face, % of the distance between the eyes."""
    return estimate_by_motion(prediction.arrays, prediction.arrays)


def describe_prediction(prediction: Prediction, files: tuple[Path, Path]) -> str:
    """Describe a prediction in a few lines for the terminal."""
    clip, spotted, answer = prediction.input_clip, prediction.spotted, prediction.answer
    onset, apex = (clip.numbers[position] for position in (spotted.onset, spotted.apex))
    moves = measure_regions(prediction)
    most = max(moves, key=lambda name: moves[name])
    lines = [
        f"{clip.path}: {len(clip.numbers)} frames, {clip.duration:.2f} s at {clip.fps:g} frames/s",
        f"onset frame {onset} ({clip.second(spotted.onset):.2f} s), apex frame {apex} "
        f"({clip.second(spotted.apex):.2f} s); skin moves most in the {most}, {moves[most]:.1f} % of the "
        "distance between the eyes",
    ]
    if answer is not None:
        lines.append(f"{answer.target.title}: {answer.answer} ({describe_calibration(answer)})")
        order = np.argsort(-answer.probability)
        width = max(map(len, answer.target.classes))
        lines += [
            f"  {answer.target.classes[at]:{width}}  {answer.probability[at]:.2f}" for at in order
        ]
        scores = answer.calibration.scores if answer.calibration else {}
        if scores:
            lines.append(
                f"such networks reach UF1 {scores['uf1']:.2f}, UAR {scores['uar']:.2f} on held-out subjects "
                f"of {answer.protocol}"
            )
    lines += [f"note: {note}" for note in clip.notes]
    took = prediction.seconds
    lines += [str(file) for file in files]
    lines.append(f"{sum(took.values()):.1f} s, {took['spotting']:.1f} of them to find the apex")
    return "\n".join(lines) + "\n"


def describe_calibration(answer: TargetPrediction) -> str:
    """Describe the calibration of probabilities, or the reason why there is none."""
    calibration = answer.calibration
    if answer.target.multilabel:
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
