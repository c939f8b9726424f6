"""Tell where in somebody's code an unexpected error arose."""

import logging
import sysconfig
import traceback
from pathlib import Path

from merec.errors import InputError

# Tracebacks go to train.log of the run folder alone; see conf/hydra/job_logging/merec.yaml.
tracebacks = logging.getLogger("merec.traceback")

_PACKAGE = Path(__file__).parent
_PYTHON = Path(sysconfig.get_path("stdlib"))


def describe_mistake(error: BaseException) -> str:
    """Return one line: the message of an error; if it is no `InputError` its type, too, and its place."""
    while (
        type(error).__name__ == "InstantiationException" and error.__cause__
    ):  # Hydra's, around any
        error = error.__cause__
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text or type(error).__name__
    place = find_place(error)
    return f"{type(error).__name__}: {text}".rstrip(": ") + (f" ({place})" if place else "")


def find_place(error: BaseException) -> str:
    """Return file, line and function of the last frame outside of merec and all libraries.

    Where there is none it is the last frame in merec, e.g. of one of its backbones.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not _is_library(frame.filename)]
    user_frames = [
        frame for frame in ours if _PACKAGE not in Path(frame.filename).resolve().parents
    ]
    if not ours:
        return ""
    frame = (user_frames or ours)[-1]
    return f"{frame.filename}:{frame.lineno}, in {frame.name}"


def format_traceback(error: BaseException) -> str:
    """Return the traceback of an unexpected error; nothing of an `InputError`."""
    return "" if isinstance(error, InputError) else "".join(traceback.format_exception(error))


def _is_library(file: str) -> bool:
    path = Path(file)
    if file.startswith("<") or {"site-packages", "dist-packages"} & {*path.parts}:
        return True
    return _PYTHON in path.resolve().parents
