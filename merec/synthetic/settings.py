"""Settings of a rendered corpus and its identity in the cache."""

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
from merec.ranges import TAKEN_FROM_TABLE
from merec.source_code import hash_sources
from merec.synthetic.sensor import DepthSensor, choose_sensor

_HOME = "merec.synthetic"
# Functions that decide the content of a corpus; the hash of their source identifies it.
_RENDERERS = (
    f"{_HOME}.plan.plan_corpus",
    f"{_HOME}.plan.plan_macro",
    f"{_HOME}.plan.plan_unlabelled",
    f"{_HOME}.render_workers.render_clips",
    f"{_HOME}.annotation.write_annotation",
)
_ANNOTATION_PLANNER = (f"{_HOME}.annotation_plan.plan_annotation",)
MAX_CLIPS = 100_000  # their plan fits into memory, and 16 cores render them in a week
_FLOATS = ("noise", "depth_noise", "depth_step", "head", "gaze", "blinks", "zero_motion")


@dataclass(frozen=True)
class RenderSettings:
    """Settings of a rendered corpus; the defaults are in `conf/corpus/synthetic.yaml`.

    Attributes:
        subjects: Number of synthetic subjects (without `annotation`).
        samples: Micro-expressions of each subject (without `annotation`).
        annotation: Real annotation table, whose rows are rendered with synthetic faces; None for a corpus
            drawn at random.
        unlabelled: Number of clips without labels, for pretraining.
        macro: Number of macro-expressions in the corpus.
        zero_motion: Share of the micro-expressions whose apex is the onset, so that nothing moves (without
            `annotation`).
        frames: `pair` (onset and apex), `key` (these, the offset and four between) or `all`.
        width: Width of the frames, px.
        height: Height of the frames, px.
        quality: Quality of the JPEG files, 1 to 100.
        noise: Strength of the colour sensor's noise; 0 for none.
        camera: Depth camera, see `choose_sensor`.
        depth_noise: Standard deviation of the depth noise at 550 mm, mm; None uses the noise of the camera.
        depth_step: Unit of stored depth, mm.
        head: Strength of head movement; 0 for none.
        gaze: Strength of eye movement; 0 for none.
        blinks: Blinks per minute.
        seed: Seed of every random draw.
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
        """Check the values.

        Raises:
            InputError: If a value is out of range.
        """
        prefix = "corpus.render"
        wrong = find_out_of_range(asdict(self), prefix)
        if not isinstance(self.annotation, str | None):
            wrong.append(f"annotation={self.annotation}; expected the path of a table, or null")
        clips = self.subjects * self.samples + self.unlabelled + self.macro if not wrong else 0
        if clips > MAX_CLIPS:
            wrong.append(
                f"{clips:,} clips are asked for; give fewer subjects or samples: {MAX_CLIPS:,} at most"
            )
        if wrong:
            raise InputError("; ".join(line.removeprefix(f"{prefix}.") for line in wrong))

    def identify(self) -> dict[str, Any]:
        """Return everything that affects the pixels: settings, annotation, and hash of the code."""
        renderers = (*_RENDERERS, *(_ANNOTATION_PLANNER if self.annotation is not None else ()))
        facts = {key: getattr(self, key) for key in self.__annotations__}
        facts |= {"code": hash_sources(renderers).hash}
        # 1 and 1.0 identify the same corpus.
        facts |= {key: float(facts[key]) for key in _FLOATS if facts[key] is not None}
        if self.annotation is not None:
            file = Path(self.annotation).expanduser()
            content = file.read_bytes() if file.is_file() else b""
            facts["annotation"] = f"{file.name} {hashlib.sha256(content).hexdigest()[:16]}"
            # Errata are applied to the table before it is rendered.
            errata = json.dumps(read_errata()[ERRATA], sort_keys=True)
            facts["errata"] = hashlib.sha256(errata.encode()).hexdigest()[:16]
            for key in TAKEN_FROM_TABLE:
                del facts[key]
        return facts

    def choose_sensor(self) -> DepthSensor:
        """Return the depth sensor."""
        return choose_sensor(self.camera, self.depth_noise, self.depth_step, self.width)

    def hash(self) -> str:
        """Return the hash of `identify`, 16 hex digits."""
        text = json.dumps(self.identify(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def locate_cached(settings: RenderSettings) -> Path:
    """Return the folder in the cache of a corpus without a root."""
    return cache_folder() / "synthetic" / settings.hash()
