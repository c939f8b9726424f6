"""Settings of a rendered corpus."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from merec.assets import cache_folder
from merec.corpora.casme3_lists import ERRATA
from merec.corpora.reading.errata import read_errata
from merec.errors import InputError
from merec.range_check import find_out_of_range
from merec.ranges import NOT_OF_A_TWIN
from merec.source_code import hash_sources
from merec.synthetic.sensor import DepthSensor, choose_sensor

_HOME = "merec.synthetic"
# What renders; its source, with all that it uses, is part of what a corpus is.
_RENDERERS = (
    f"{_HOME}.plan.plan_corpus",
    f"{_HOME}.plan.plan_macro",
    f"{_HOME}.plan.plan_unlabelled",
    f"{_HOME}.render_workers.film_clips",
    f"{_HOME}.annotation.write_annotation",
)
_OF_TWINS = (f"{_HOME}.twin.plan_twin",)
MOST_CLIPS = 100_000  # whose plan fits into memory; a week of rendering on 16 cores
_REAL = ("noise", "depth_noise", "depth_step", "head", "gaze", "blinks", "zero_motion")


@dataclass(frozen=True)
class Settings:
    """What is rendered; the defaults are in `conf/corpus/synthetic.yaml`.

    Attributes:
        subjects: Number of made subjects (not for a twin).
        samples: Micro-expressions of each (not for a twin).
        annotation: Table whose twin is rendered, or `None`.
        unlabelled: Clips without labels, for pretraining.
        macro: Macro-expressions in all.
        zero_motion: Share of the micro-expressions whose apex is the onset, so that nothing moves (not for a
            twin).
        frames: `pair` (onset and apex), `key` (these, the offset and four between) or `all`.
        width: Of the frames, px.
        height: Of the frames, px.
        quality: Of the JPEG files, 1 to 100.
        noise: Strength of the colour sensor's noise; 0 for none.
        camera: Depth camera, see `choose_sensor`.
        depth_noise: Standard deviation of its noise at 550 mm, mm; `None` for the camera's own.
        depth_step: Unit in which depth is stored, mm.
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
    zero_motion: float | int
    frames: str
    width: int
    height: int
    quality: int
    noise: float | int
    camera: str
    depth_noise: float | int | None
    depth_step: float | int
    head: float | int
    gaze: float | int
    blinks: float | int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered."""
        prefix = "corpus.render"
        wrong = find_out_of_range(asdict(self), prefix)
        if not isinstance(self.annotation, str | None):
            wrong.append(f"annotation={self.annotation}; expected the path of a table, or null")
        clips = self.subjects * self.samples + self.unlabelled + self.macro if not wrong else 0
        if clips > MOST_CLIPS:
            wrong.append(
                f"{clips:,} clips are asked for; give fewer subjects or samples: {MOST_CLIPS:,} at most"
            )
        if wrong:
            raise InputError("; ".join(line.removeprefix(f"{prefix}.") for line in wrong))

    def identify(self) -> dict[str, Any]:
        """What decides the pixels: the settings, with the content of the annotation instead of its path."""
        renderers = (*_RENDERERS, *(_OF_TWINS if self.annotation is not None else ()))
        known = {key: getattr(self, key) for key in self.__annotations__}
        known |= {"code": hash_sources(renderers).hash}
        # 1 and 1.0 are one corpus.
        known |= {key: float(known[key]) for key in _REAL if known[key] is not None}
        if self.annotation is not None:
            file = Path(self.annotation).expanduser()
            content = file.read_bytes() if file.is_file() else b""
            known["annotation"] = f"{file.name} {hashlib.sha256(content).hexdigest()[:16]}"
            # The twin shows the table as it is mended.
            mended = json.dumps(read_errata()[ERRATA], sort_keys=True)
            known["errata"] = hashlib.sha256(mended.encode()).hexdigest()[:16]
            for key in NOT_OF_A_TWIN:
                del known[key]
        return known

    def choose_sensor(self) -> DepthSensor:
        """Return the depth sensor."""
        return choose_sensor(self.camera, self.depth_noise, self.depth_step, self.width)

    def hash(self) -> str:
        """16 hex digits of `identify`."""
        text = json.dumps(self.identify(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def locate_cached(settings: Settings) -> Path:
    """Where `corpus=synthetic` keeps a corpus that was given no root."""
    return cache_folder() / "synthetic" / settings.hash()
