"""Prediction of a new clip: its apex, the prediction of a network, and a picture."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from merec.corpora.casme3_frames import read_camera
from merec.errors import StopError
from merec.evaluation.protocol import describe_protocol
from merec.evaluation.reliability import apply_temperature
from merec.features.frames import OUTSIDE
from merec.features.input_clip import InputClip
from merec.features.landmarks import FaceLandmarker
from merec.features.open_clip import open_clip
from merec.features.spotting import Spotted, Stream, spot_apex
from merec.prediction_calibration import calibrate
from merec.reporting.prediction import Calibration, Prediction, TargetPrediction
from merec.reporting.prediction_files import write_prediction
from merec.restore import Network, open_store, restore
from merec.run_folder.resolved_config import find_node
from merec.temporary_folder import own_folder
from merec.types import Camera, Corpus, InputError

# Times the noise from frame to frame, and the usual transience; less may be anything.
_CLEAR, _CONTRAST = 7.0, 1.8
_FEW = 5  # frames, of which a smooth course is as good as any
_STILL = 0.005  # % of the distance between the eyes, which is shown as 0.00
_SMALL = 150  # px of face, below which apexes are found less surely


def predict(
    clip: Path,
    checkpoint: Path | None,
    calibration: Path | None,
    fps: float | None,
    intrinsics: Path | None,
    out: Path,
    plugins: Sequence[str] = (),
    other_code: bool = False,
) -> tuple[Prediction, tuple[Path, Path]]:
    """Find the apex of a clip, predict its target, and write a picture and all facts to `out`.

    Args:
        clip: Video, or folder of frames (see `open_clip`).
        checkpoint: Checkpoint of a network; `None` to find the apex only.
        calibration: Finished run on whose held-out predictions the temperature is fitted; `None` for the run
            of the checkpoint, if all its folds are finished.
        fps: Frames/s, if not stored in the clip.
        intrinsics: YAML file of the camera, for points in depth; `None` for the camera of the training.
        out: Folder to write to.
        plugins: Trusted modules or packages of networks, in addition to merec.
        other_code: Whether to accept a network whose code has changed since training.

    Returns:
        The prediction, and the paths of the picture and the JSON file.

    Raises:
        InputError: If the clip, the checkpoint or the run cannot be used, or they are incompatible.
    """
    input_clip = open_clip(clip, fps)
    network = None if checkpoint is None else restore(checkpoint, plugins, other_code)
    # Whatever can be refused is, before the clip is looked through.
    calibrated = None if network is None else calibrate(network, calibration)
    if network is not None and network.modality != "rgb" and not input_clip.has_depth:
        raise InputError(
            f"{network.file} was trained with datamodule={network.modality}, but {clip} has no depth; put "
            "depth maps (16-bit PNG, mm) into a folder depth beside color, or take a checkpoint of "
            "datamodule=rgb"
        )
    started = time.perf_counter()
    spotted = _find_apex(input_clip)
    between = time.perf_counter()
    _add_notes(input_clip, spotted)
    # A folder that goes: the faces of people who come to be looked at are not kept.
    with own_folder() as folder:
        arrays, log_probability = _look_closely(input_clip, spotted, network, intrinsics, folder)
    seconds = {"spotting": between - started, "network": time.perf_counter() - between}
    answer = None
    if network is not None and log_probability is not None:
        answer = _describe_answer(network, log_probability, calibrated)
    prediction = Prediction(input_clip, spotted, arrays, answer, seconds)
    return prediction, write_prediction(prediction, out)


def _find_apex(input_clip: InputClip) -> Spotted:
    try:
        with FaceLandmarker() as landmarker:
            return spot_apex(input_clip, landmarker, _show_progress)
    except StopError:
        raise
    except InputError as error:
        named = str(input_clip.path) in str(error)
        raise InputError(str(error) if named else f"{input_clip.path}: {error}") from error


def _describe_answer(
    network: Network, log_probability: np.ndarray, calibrated: Calibration | None
) -> TargetPrediction:
    """Return the prediction of a network, with raw and calibrated probabilities."""
    raw = np.exp(log_probability)
    cooled = raw
    if calibrated is not None and calibrated.temperature is not None:
        cooled = apply_temperature(log_probability[None], calibrated.temperature)[0]
    file, name = str(network.file), str(network.config.get("name", ""))
    return TargetPrediction(network.target, cooled, raw, calibrated, file, network.protocol, name)


def _look_closely(
    input_clip: InputClip,
    spotted: Spotted,
    network: Network | None,
    intrinsics: Path | None,
    folder: Path,
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Compute crops and motion of onset and apex, and the prediction of the network."""
    chosen = [spotted.onset, spotted.apex]
    from_clip = network is not None and network.representation.from_clip
    if from_clip:
        chosen = list(range(spotted.onset, spotted.offset + 1))
    color, depth = input_clip.export(sorted({*chosen}), folder)
    onset, apex, offset = (
        input_clip.numbers[position] for position in (spotted.onset, spotted.apex, spotted.offset)
    )
    row = {
        "sample_id": input_clip.name,
        "corpus": "clip",
        "subject": "unseen",
        "clip": input_clip.name,
        "label": 0,  # nobody knows; nothing is scored
        "onset": onset,
        "apex": apex,
        "offset": offset if from_clip else pd.NA,
        "fps": input_clip.fps,
        "emotion": "",
        "action_units": None,
        "color": color,
        "depth": depth,
        "row": 0,
    }
    index = pd.DataFrame([row]).astype({"offset": "Int64"})
    classes = ("unknown",) if network is None else network.target.classes
    camera = _find_camera(network, intrinsics)
    corpus = Corpus(describe_protocol("clip", index, classes), index, None, (), camera)
    config, source = (None, None) if network is None else (network.config, network.file)
    features = open_store(config, folder / "features", source)
    try:
        arrays = features.load_sample(corpus, 0)
        if network is None:
            return arrays, None
        _assert_camera(network, corpus, arrays)
        answer = network.predict(network.show(corpus, features))
    except InputError as error:
        reason = str(error)
        for position in chosen:  # of a video the frame, not the file that goes with the folder
            file = str(color.path(input_clip.numbers[position]))
            reason = reason.replace(file, input_clip.name_frame(position))
        raise InputError(
            f"onset {onset} and apex {apex} of {input_clip.path} were found, but cannot be used: {reason}"
        ) from error
    return arrays, answer[0].numpy()


def _find_camera(network: Network | None, intrinsics: Path | None) -> Camera | None:
    """Return the given camera, or the camera of the training data; `None` if both are unknown."""
    if intrinsics is not None:
        if not intrinsics.is_file():
            raise InputError(
                f"intrinsics={intrinsics} does not exist; give a YAML file with {', '.join(Camera._fields)}"
            )
        file = str(intrinsics.absolute())
        try:
            return read_camera(file, intrinsics.parent)
        except InputError as error:  # which calls it by its name in a config
            named = str(error).replace(f"corpus.intrinsics={file}", f"intrinsics={intrinsics}")
            raise InputError(named) from error
    corpus = {} if network is None else find_node(network.config, "corpus")
    given = corpus.get("intrinsics")
    if isinstance(given, str) and corpus.get("root") is None:
        return None
    try:
        return read_camera(given, Path(str(corpus.get("root"))).expanduser())
    except (
        InputError,
        RuntimeError,
    ):  # the corpus, or its user's home, need not be on this machine
        return None


def _assert_camera(network: Network, corpus: Corpus, arrays: dict[str, np.ndarray]) -> None:
    """Refuse points in depth without a camera of these frames."""
    if not network.representation.needs_camera(network.modality):
        return
    height, width = arrays["frame"].tolist()
    camera = corpus.camera
    if camera is None or (camera.width, camera.height) != (width, height):
        size_text = "is not known" if camera is None else f"is of {camera.width}×{camera.height} px"
        raise InputError(
            f"the network reads points in depth, for which the camera of the frames ({width}×{height} px) "
            f"is needed, but that of its training {size_text}; give intrinsics=FILE, YAML with "
            f"{', '.join(Camera._fields)}"
        )


def _add_notes(input_clip: InputClip, spotted: Spotted) -> None:
    """Add reasons to doubt the prediction to the notes."""
    seen = int(spotted.curve.seen.sum())
    clear = spotted.movement >= _CLEAR * spotted.noise and spotted.contrast >= _CONTRAST
    if seen < _FEW:
        input_clip.notes.append(
            f"{seen} frames are too few to tell a movement from noise; take neither apex nor emotion for "
            "granted"
        )
    elif not clear or spotted.movement < _STILL or spotted.apex <= spotted.onset:
        notes = []
        if spotted.noise > 0:
            notes.append(f"{spotted.movement / spotted.noise:.1f} times the noise")
        if np.isfinite(spotted.contrast):
            notes.append(f"{spotted.contrast:.1f} times what happens elsewhere")
        largest = f"the largest, {spotted.movement:.2f} % of the distance between the eyes"
        largest += f", is {' and '.join(notes)}" if notes else ", is all there is"
        if spotted.movement < _STILL:
            largest = "the face does not move at all"
        input_clip.notes.append(
            f"no short movement stands out: {largest}; take neither apex nor emotion for granted"
        )
    if spotted.face < _SMALL:
        input_clip.notes.append(
            f"the face is {spotted.face:.0f} px wide; below {_SMALL} px apexes are found less surely"
        )
    if spotted.outside > OUTSIDE:
        input_clip.notes.append(
            f"{spotted.outside:.0%} of the face's landmarks lie outside the frame, where they are guessed; "
            "record the whole face"
        )
    unseen = int((~spotted.curve.seen).sum())
    if unseen:
        input_clip.notes.append(
            f"the face is not seen in {unseen} of {len(spotted.curve.seen)} frames"
        )


def _show_progress(frames: Stream, total: int) -> Iterator[tuple[int, np.ndarray]]:
    """Iterate over frames with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        frames,
        "following the face",
        total=total,
        console=console,
        disable=not console.is_terminal,
    )
