"""Finding of folders in different spellings: spNO.1 or spNo.1, clip J or j, frames with or without zeros."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from merec.corpora.reading.subjects import Naming
from merec.path_names import is_file, is_folder
from merec.types import Frames, InputError


class Disk:
    """Cache of folder listings; each folder is listed once.

    Args:
        naming: Form of the subjects' names; the folder of a subject is found in any spelling.
    """

    def __init__(self, naming: Naming | None = None) -> None:
        self.naming = naming
        self._listed: dict[Path, dict[str, Path]] = {}
        self._people: dict[Path, dict[str, Path]] = {}

    def list(self, folder: Path) -> dict[str, Path]:
        """Return the entries of a folder by lower-case name; empty if the folder does not exist."""
        if folder not in self._listed:
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
            self._listed[folder] = {path.name.casefold(): path for path in entries}
        return self._listed[folder]

    def find(self, folder: Path, *parts: str) -> Path | None:
        """Return `folder/parts…` as spelled on disk; `None` if it does not exist."""
        for part in parts:
            below = self.list(folder).get(part.casefold()) or self._find_subject(folder, part)
            if below is None:
                return None
            folder = below
        return folder

    def _find_subject(self, folder: Path, subject: str) -> Path | None:
        """Return the folder of a subject in another spelling, e.g. `sub1` or `Sub 01` for `sub01`."""
        if self.naming is None:
            return None
        if folder not in self._people:
            people = {self.naming.spell(name): path for name, path in self.list(folder).items()}
            self._people[folder] = people
        return self._people[folder].get(subject)

    def first(self, places: Iterable[Sequence[str | Path]]) -> Path | None:
        """Return the first of `(folder, *parts)` that exists."""
        for folder, *parts in places:
            match = self.find(Path(folder), *map(str, parts))
            if match is not None:
                return match
        return None


def open_root(root: str, what: str) -> Path:
    """Return the folder of a corpus.

    Raises:
        InputError: If the folder does not exist.
    """
    folder = Path(root).expanduser()
    if not is_folder(folder):
        raise InputError(
            f"corpus.root={root} is no folder; expected {what}. Set corpus.root=FOLDER, or MEREC_DATA to "
            "the folder that holds it, or roots in conf/local/default.yaml"
        )
    return folder


def relate(path: Path, root: Path | None) -> str:
    """Return a path relative to the root of the corpus, or unchanged if it is elsewhere."""
    return str(path.relative_to(root)) if root and path.is_relative_to(root) else str(path)


def below(root: Path, patterns: Iterable[str] = ()) -> list[Path]:
    """Return `root`, its subfolders that match a pattern (`part_a*`; lower case), and their subfolders."""
    folders = [root]
    for pattern in patterns:
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            if Path(folder.name.casefold()).match(pattern):
                folders += [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return list(dict.fromkeys(folders))


def find_file(root: Path, names: Sequence[str], patterns: Iterable[str]) -> Path | None:
    """Return the first file with one of the names (ignoring case) in the folders of `below`.

    Raises:
        InputError: If there is no such file, but a folder with this name.
    """
    wanted, taken = [name.casefold() for name in names], None
    for folder in below(root, patterns):
        files = {path.name.casefold(): path for path in sorted(folder.iterdir())}
        for name in wanted:
            if name in files and files[name].is_file():
                return files[name]
            taken = taken or files.get(name)
    if taken is not None and taken.is_dir():
        raise InputError(f"{taken} is a folder, expected a file; copy it again from its source")
    return None


def find_table(
    root: Path, annotation: str, editions: Mapping[str, Sequence[str]], what: str
) -> tuple[Path, str | None]:
    """Find the table at a path relative to the working directory or to `root`.

    Args:
        root: Folder of the corpus.
        annotation: Path of the table.
        editions: Edition → its official file names.
        what: Name of the table, for messages.

    Returns:
        The file, and the edition with this file name, if any.

    Raises:
        InputError: If the file does not exist.
    """
    file = Path(annotation).expanduser()
    file = root / file if not is_file(file) and is_file(root / file) else file
    if not is_file(file):
        raise InputError(
            f"corpus.annotation={annotation} is no file; expected {', '.join(editions)} or the path of a "
            f"{what}"
        )
    for edition, names in editions.items():
        if file.name.casefold() in [name.casefold() for name in names]:
            return file, edition
    return file, None


def name_frames(folder: Path, guess: str) -> Frames:
    """Return the numbered images of a folder with their most frequent name pattern; `guess` if it is empty.

    Args:
        folder: Folder, which need not exist.
        guess: Default pattern, e.g. `img{}.jpg`.
    """
    kinds: Counter[tuple[str, str]] = Counter()
    zeros: dict[tuple[str, str], int] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = re.fullmatch(r"(.*?)(\d+)(\.(?:jpe?g|png|bmp))", file.name, re.IGNORECASE)
        if match and not file.name.startswith("."):
            kind = (match[1], match[3])
            kinds[kind] += 1
            if match[2].startswith("0") and len(match[2]) > 1:
                zeros[kind] = len(match[2])
    if not kinds:
        return Frames(folder, guess)
    kind = kinds.most_common(1)[0][0]
    width = f":0{zeros[kind]}d" if kind in zeros else ""
    return Frames(folder, f"{kind[0]}{{{width}}}{kind[1]}")


def add_frames(index: pd.DataFrame, frames: Sequence[tuple[Frames, Frames | None]]) -> pd.DataFrame:
    """Add columns `color` and `depth` before the column `row`."""
    color = pd.Series([pair[0] for pair in frames], index=index.index, dtype=object)
    depth = pd.Series([pair[1] for pair in frames], index=index.index, dtype=object)
    return index.drop(columns="row").assign(color=color, depth=depth, row=index["row"])
