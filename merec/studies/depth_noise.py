"""Score against the noise of depth: how good must a depth camera be?"""

import math
from collections.abc import Sequence

from merec.evaluation.results import Result
from merec.run_folder.resolved_config import find_node
from merec.studies.answer import Answer
from merec.studies.setting_study import Setting, answer_setting
from merec.synthetic.sensor import REFERENCE, choose_sensor

_NOISE = (
    *("datamodule.corpus.render.depth_noise", "datamodule.corpus.render.camera"),
    "datamodule.features.depth_noise",
)


def read_depth_noise(result: Result) -> float | None:
    """Return the total depth noise of a result: of the rendered corpus and added on reading, mm at 550 mm.

    `None` if the noise of the camera is unknown: for other corpora, and for a corpus in a folder of the user,
    which may differ from the config.
    """
    data = result.settings.get("datamodule") or {}
    render = (data.get("corpus") or {}).get("render") or {}
    elsewhere = any(find_node(run.config, "task.datamodule.corpus.root") for run in result.runs)
    if elsewhere or not {"camera", "depth_noise", "depth_step", "width"} <= set(render):
        return None
    given = (render[name] for name in ("camera", "depth_noise", "depth_step", "width"))
    sensor_noise = float(choose_sensor(*given).spread(REFERENCE))
    added = (data.get("features") or {}).get("depth_noise") or 0
    return round(math.hypot(sensor_noise, added), 3)


DEPTH_NOISE = Setting(
    "depth_noise",
    "How good must a depth camera be",
    "depth noise (mm at 550 mm)",
    " mm",
    _NOISE,
    read_depth_noise,
    of_depth=True,
)


def answer(results: Sequence[Result]) -> Answer:
    """Show the score against depth noise; see `answer_setting`."""
    return answer_setting(results, DEPTH_NOISE)
