"""What a rendered corpus is made of."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from merec.assets import cache_folder
from merec.corpora.casme3 import ERRATA
from merec.corpora.errata import read_errata
from merec.errors import InputError
from merec.source_code import hash_sources

_HOME = "merec.corpora.synthetic"
# What renders; its source, with all that it uses, is part of what a corpus is.
_RENDERERS = (
    f"{_HOME}.plan.plan_corpus",
    f"{_HOME}.plan.plan_macro",
    f"{_HOME}.plan.plan_unlabelled",
    f"{_HOME}.synthesize._film",
    f"{_HOME}.annotation.write_annotation",
)
_OF_TWINS = (f"{_HOME}.twin.plan_twin",)
_STRENGTHS = ("noise", "depth_noise", "head", "gaze", "blinks")


@dataclass(frozen=True)
class Settings:
    """What is rendered; the defaults are in `conf/corpus/synthetic.yaml`.

    Attributes:
        subjects: Number of made subjects (not for a twin).
        samples: Micro-expressions of each (not for a twin).
        annotation: Table whose twin is rendered, or `None`.
        unlabelled: Clips without labels, for pretraining.
        macro: Macro-expressions in all.
        frames: `key` (onset, apex, offset and four between) or `all`.
        width: Of the frames, px.
        height: Of the frames, px.
        quality: Of the JPEG files, 1 to 100.
        noise: Strength of the colour sensor's noise; 0 for none.
        depth_noise: Strength of the depth sensor's noise and holes; 0 for none.
        head: Strength of head movement; 0 for none.
        gaze: Strength of eye movement; 0 for none.
        blinks: Per minute.
        seed: Of everything that is drawn.
    """

    subjects: int
    samples: int
    annotation: str | None
    unlabelled: int
    macro: int
    frames: str
    width: int
    height: int
    quality: int
    noise: float | int
    depth_noise: float | int
    head: float | int
    gaze: float | int
    blinks: float | int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered."""
        for key, value in asdict(self).items():
            kind, expected = _kind(key)
            if isinstance(value, bool) or not isinstance(value, kind):
                raise InputError(f"{key}={value} is not understood; expected {expected}")
        for key, least in (("width", 64), ("height", 64), ("quality", 1)):
            if getattr(self, key) < least:
                raise InputError(f"{key}={getattr(self, key)}, but {least} is the least; give more")
        if self.quality > 100:
            raise InputError(f"quality={self.quality}, but 100 is the most; give less")
        for key in _STRENGTHS:
            if not 0 <= getattr(self, key) < math.inf:
                raise InputError(
                    f"{key}={getattr(self, key)}; expected a number from 0 on, 0 for none"
                )

    def identify(self) -> dict[str, Any]:
        """What decides the pixels: the settings, with the content of the annotation instead of its path."""
        renderers = (*_RENDERERS, *(_OF_TWINS if self.annotation is not None else ()))
        known = {key: getattr(self, key) for key in self.__annotations__}
        known |= {"code": hash_sources(renderers).hash}
        known |= {key: float(known[key]) for key in _STRENGTHS}  # 1 and 1.0 are one corpus
        if self.annotation is not None:
            file = Path(self.annotation).expanduser()
            content = file.read_bytes() if file.is_file() else b""
            known["annotation"] = f"{file.name} {hashlib.sha256(content).hexdigest()[:16]}"
            # The twin shows the table as it is mended.
            mended = json.dumps(read_errata()[ERRATA], sort_keys=True)
            known["errata"] = hashlib.sha256(mended.encode()).hexdigest()[:16]
            del known["subjects"], known["samples"]
        return known

    def hash(self) -> str:
        """16 hex digits of `identify`."""
        text = json.dumps(self.identify(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kind(key: str) -> tuple[type | tuple[type, ...], str]:
    """What a setting may be, and the same in words."""
    if key == "annotation":
        return (str, type(None)), "the path of a table"
    if key == "frames":
        return str, "key or all"
    if key in _STRENGTHS:
        return (int, float), "a number"
    return int, "a whole number"


def locate_cached(settings: Settings) -> Path:
    """Where `corpus=synthetic` keeps a corpus that was given no root."""
    return cache_folder() / "synthetic" / settings.hash()
