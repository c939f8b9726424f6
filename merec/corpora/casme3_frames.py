"""Frames of CAS(ME)^3 on disk: full layout, clip layout, part C, unlabelled clips, camera."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from merec.corpora.reading.folders import Disk, below
from merec.corpora.reading.subjects import CASME3
from merec.errors import quote_error
from merec.types import Camera, Frames, InputError

Pair = tuple[Frames, Frames | None]
COLOR, DEPTH = "{}.jpg", "{}.png"
CLIPS = "Part_A_ME_clip"
LAYOUTS = ("auto", "full", "clip")


class FrameFinder:
    """Locator of the frames of samples: names as on disk, or the expected names if frames are missing.

    Full layout: `{spNO.X}/{a..m}/{color,depth}/{n}`, below `root` or `root/Part_A*`. Clip layout:
    `Part_A_ME_clip/{frame,depth}/{spNo.X}_{clip}_{onset}/{n}`.

    Args:
        root: Folder of the corpus.
        layout: `auto`, `full` or `clip`.
        part_c: Colour folder of part C, with `{subject}` and `{clip}`; `None` for part A.
    """

    def __init__(self, root: Path, layout: str, part_c: str | None) -> None:
        if layout not in LAYOUTS:
            raise InputError(f"corpus.layout={layout}; expected one of {', '.join(LAYOUTS)}")
        self.root, self.disk, self.part_c = root, Disk(CASME3), part_c
        self._respelled: dict[Path, dict[str, Path]] = {}
        places = below(root, ["part_a*"])
        self.subjects = [place for place in places if any(map(_is_subject, self.disk.list(place)))]
        find = self.disk.find
        clips = [find(place, CLIPS, "frame") or find(place, "frame") for place in places]
        self.clips = [place for place in clips if place is not None]
        both = bool(self.subjects), bool(self.clips)
        self.layout = ("clip" if both == (False, True) else "full") if layout == "auto" else layout

    def find(self, row: Mapping[Any, Any], annotated_onset: str) -> Pair:
        """Return colour and depth of a sample; part C has depth if there is a folder `depth` next to `color`.

        Args:
            row: `subject`, `clip`, `onset`.
            annotated_onset: Annotated onset before errata, by which clip folders are named.
        """
        if self.part_c is not None:
            return self._part_c(self.part_c, row)
        return self._clip(row, annotated_onset) if self.layout == "clip" else self._full(row)

    def _full(self, row: Mapping[Any, Any]) -> Pair:
        clip = self.disk.first((place, row["subject"], row["clip"]) for place in self.subjects)
        if clip is None:
            clip = (self.subjects or [self.root])[0] / row["subject"] / row["clip"]
        return self._color_and_depth(clip)

    def _color_and_depth(self, clip: Path) -> Pair:
        color = self.disk.find(clip, "color") or clip / "color"
        depth = self.disk.find(clip, "depth") or clip / "depth"
        return Frames(color, COLOR), Frames(depth, DEPTH)

    def _clip(self, row: Mapping[Any, Any], annotated_onset: str) -> Pair:
        names = [
            f"{row['subject']}_{row['clip']}_{onset}" for onset in (annotated_onset, row["onset"])
        ]
        frame = self.disk.first((place, name) for place in self.clips for name in names)
        frame = frame or self._find_clip([name.casefold() for name in names])
        if frame is None:
            base = (self.clips or [self.root / CLIPS / "frame"])[0]
            frame = base / names[0].replace("spNO", "spNo")
        beside = frame.parent.parent
        depth = self.disk.find(beside, "depth", frame.name) or beside / "depth" / frame.name
        return Frames(frame, COLOR), Frames(depth, DEPTH)

    def _find_clip(self, names: Sequence[str]) -> Path | None:
        """Return the folder of a clip with another spelling of the subject, e.g. `spNo.01_a_355`."""
        for place in self.clips:
            if place not in self._respelled:
                self._respelled[place] = {}
                for name, path in self.disk.list(place).items():
                    subject, *rest = name.rsplit("_", 2)
                    spelled = "_".join([CASME3.spell(subject), *rest]).casefold()
                    self._respelled[place][spelled] = path
            for name in names:
                if name in self._respelled[place]:
                    return self._respelled[place][name]
        return None

    def _part_c(self, template: str, row: Mapping[Any, Any]) -> Pair:
        try:
            parts = Path(template.format(subject=row["subject"], clip=row["clip"])).parts
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"corpus.part_c_frames={template} cannot be filled in ({error}); expected a folder with "
                "{subject} and {clip} at most"
            ) from error
        color = self.disk.find(self.root, *parts) or self.root.joinpath(*parts)
        depth = self.disk.find(color.parent, "depth") if color.name.casefold() == "color" else None
        return Frames(color, COLOR), None if depth is None else Frames(depth, DEPTH)


def _is_subject(folder: str) -> bool:
    return re.fullmatch(r"spno[\s._-]*\d+", folder) is not None


def list_unlabelled(
    root: Path, pattern: str | None, corpus: str, fps: float | int
) -> pd.DataFrame | None:
    """List the clips without labels: folders that match a glob and contain `color/` or frames.

    Args:
        root: Folder of the corpus.
        pattern: Glob relative to it; `None` for no clips.
        corpus: Name of the data set.
        fps: Frames/s.

    Returns:
        See `Corpus.unlabelled`; `None` if nothing is found.
    """
    if pattern is None:
        return None
    disk, rows = Disk(), []
    for folder in sorted(path for path in root.glob(pattern) if path.is_dir()):
        color, depth = disk.find(folder, "color"), disk.find(folder, "depth")
        if color is None:
            if not any(file.suffix.casefold() == ".jpg" for file in folder.iterdir()):
                continue
            color = folder
        clip_id = folder.relative_to(root).as_posix()
        subject = re.search(r"(?i)\bspno[\s._-]*(\d+)", clip_id)
        rows.append(
            {
                "clip_id": clip_id,
                "corpus": corpus,
                "subject": CASME3.spell(subject[1]) if subject else "",
                "clip": folder.name,
                "fps": float(fps),
                "color": Frames(color, COLOR),
                "depth": None if depth is None else Frames(depth, DEPTH),
            }
        )
    return pd.DataFrame(rows) if rows else None


def read_camera(intrinsics: Mapping[str, float | int] | str | None, root: Path) -> Camera | None:
    """Read camera intrinsics from numbers or from a YAML file, whose path may be relative to `root`.

    Raises:
        InputError: If the file cannot be read or a number is missing.
    """
    if intrinsics is None:
        return None
    source = "corpus.intrinsics"
    numbers: Any = intrinsics
    if isinstance(intrinsics, str):
        import yaml

        file = Path(intrinsics).expanduser()
        file = file if file.is_file() else root / file
        source = str(file)
        try:
            if file.exists() and not file.is_file():  # a pipe would be waited for
                raise OSError(f"{file} is no regular file")
            numbers = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = quote_error(error)
            raise InputError(
                f"corpus.intrinsics={intrinsics} cannot be read ({reason}); expected a YAML file with "
                f"{', '.join(Camera._fields)}"
            ) from error
    try:
        f = {key: float(numbers[key]) for key in Camera._fields}
        if not (all(map(math.isfinite, f.values())) and min(f["fx"], f["fy"]) > 0):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{source} gives {numbers}; expected a number of px each for {', '.join(Camera._fields)}, of fx "
            "and fy above 0"
        ) from error
    return Camera(f["fx"], f["fy"], f["cx"], f["cy"], int(f["width"]), int(f["height"]))
