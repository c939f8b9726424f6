"""Output folders and tables of a verb, which are created before the work starts."""

import contextlib
from pathlib import Path

from merec.errors import InputError

_FILES = (
    ".html",
    ".pdf",
    ".csv",
    ".xlsx",
    ".xls",
    ".json",
    ".png",
    ".svg",
    ".tex",
    ".md",
    ".txt",
    ".onnx",
)
_made: list[Path] = []  # folders for output, inner ones first


def locate_table(verb: str, out: str, name: str) -> Path | None:
    """Return the path of a verb's table: `out`, by default runs/VERB/NAME.csv; `None` if `out` is null."""
    if out == "null":
        return None
    file = Path(out or f"runs/{verb}/{name}.csv")
    if file.suffix.casefold() not in ("", ".csv"):
        raise InputError(
            f"merec {verb}: out={file} ends in {file.suffix}, but what is written is CSV; name a file that "
            "ends in .csv"
        )
    make_folder(file.parent)
    if file.is_dir():
        raise InputError(f"out={file} is a folder; name a file in it, or out=null for none")
    return file


def make_folder(folder: Path) -> None:
    """Create an output folder before the work starts; `main` removes it if it stays empty."""
    from merec.files import make_output

    if folder.suffix.casefold() in _FILES and not folder.is_dir():
        raise InputError(
            f"out={folder} is named as a file is, but several files are written to a folder; name a folder"
        )
    _made.extend(place for place in (folder, *folder.parents) if not place.exists())
    try:
        make_output(folder)
    except OSError as error:
        raise InputError(
            f"out={folder} cannot be written to ({error.strerror or error}); set out= to another place"
        ) from error


def make_new_folder(folder: Path) -> None:
    """Create a folder for an export; a folder that is not empty is refused."""
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"out={folder} is not empty; delete it, or set out= to a new folder")
    make_folder(folder)


def remove_empty_output() -> None:
    """Remove the created folders that stayed empty because the verb was refused or interrupted."""
    while _made:
        with contextlib.suppress(OSError):  # it holds what was made, or never came to be
            _made.pop(0).rmdir()
