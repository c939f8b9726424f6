"""Location of unexpected errors in user code."""

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
    """Return the message of an error in one line, with type and location unless it is an `InputError`."""
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
    """Return file, line and function of the last stack frame outside merec and all libraries.

    If there is none, the last frame in merec is returned, e.g. in a backbone.
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
    """Return the traceback of an unexpected error; empty for an `InputError`."""
    return "" if isinstance(error, InputError) else "".join(traceback.format_exception(error))


def _is_library(file: str) -> bool:
    path = Path(file)
    if file.startswith("<") or {"site-packages", "dist-packages"} & {*path.parts}:
        return True
    return _PYTHON in path.resolve().parents
