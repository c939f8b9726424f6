"""`merec predict`: predict the emotion or the action units of a new clip."""

import sys
from pathlib import Path

from merec.cli.arguments import read_flag, read_number, read_plugins, split_paths
from merec.cli.output import make_folder
from merec.errors import InputError
from merec.ranges import RANGES


def predict(arguments: list[str]) -> None:
    """Predict a new clip: `merec predict CLIP [checkpoint=FILE] [calibration=RUN] [fps=N]`."""
    keys = ("checkpoint", "calibration", "fps", "intrinsics", "plugins", "other_code")
    defaults = dict.fromkeys(keys, "") | {"out": "runs/predict"}
    paths, options = split_paths(arguments, defaults, "predict")
    if len(paths) != 1:
        raise InputError(
            f"merec predict needs one clip, not {len(paths)}: merec predict CLIP checkpoint=FILE"
        )
    checkpoint, calibration, intrinsics = (
        Path(options[key]).expanduser() if options[key] else None
        for key in ("checkpoint", "calibration", "intrinsics")
    )
    if calibration and not checkpoint:
        raise InputError(f"calibration={calibration} is of no use without checkpoint=FILE")
    fps = (
        read_number("predict", "fps", options["fps"], RANGES["corpus.fps"])
        if options["fps"]
        else None
    )
    out = Path(options["out"] or "runs/predict")
    make_folder(out)
    from merec.predict import predict
    from merec.reporting.prediction import describe_prediction

    plugins = read_plugins(options["plugins"])
    other_code = read_flag("predict", "other_code", options["other_code"] or "false")
    prediction, files = predict(
        paths[0], checkpoint, calibration, fps, intrinsics, out, plugins, other_code
    )
    sys.stdout.write(describe_prediction(prediction, files))
