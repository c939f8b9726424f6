"""Files of a run: their names, and reading and writing of them.

A run folder may come from another user, from another version of merec or from a full disk. So all content is
checked, and nothing in a file is executed, resolved or built. Files are written atomically.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from merec.files import atomic, write_json, write_text
from merec.run_folder.environment import check_environment
from merec.run_folder.fold_folder import FoldFolder
from merec.run_folder.logged_keys import Tracked, parse_tracked
from merec.run_folder.prediction_table import write_predictions
from merec.run_folder.reading import (
    RUN_AGAIN,
    UnexpectedError,
    expect,
    expect_number,
    read_csv,
    read_json,
    reading,
)
from merec.run_folder.resolved_config import parse_config
from merec.targets import Target

ENVIRONMENT = "environment.json"  # by which a run folder is found below another folder
_PAIRS = {"sample_id": "text", "subject": "text", "intensity": "number", "kept": "truth"}
SHIFTS = {
    "sample_id": "text",
    "onset_shift": "number",
    "apex_shift": "number",
    "clamped": "truth",
}


@dataclass(frozen=True)
class RunFolder:
    """Folder of one run.

    Attributes:
        path: Path of the folder.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, commit, code and protocol."""
        return self.path / ENVIRONMENT

    @property
    def metrics(self) -> Path:
        """Scores of a complete run."""
        return self.path / "metrics.json"

    @property
    def predictions(self) -> Path:
        """Predictions of all finished folds."""
        return self.path / "predictions.csv"

    @property
    def checkpoint(self) -> Path:
        """Weights of the network of a run without held-out subject."""
        return self.path / "checkpoint.ckpt"

    @property
    def log(self) -> Path:
        """Log of the training, tracebacks included."""
        return self.path / "train.log"

    @property
    def pairs(self) -> Path:
        """Pairs of frames that networks were pretrained on."""
        return self.path / "pairs.csv"

    @property
    def shifts(self) -> Path:
        """Shifts of the key frames of each sample."""
        return self.path / "jitter.csv"

    @property
    def wandb_id(self) -> Path:
        """The id under which W&B knows the run."""
        return self.path / "wandb_id"

    @property
    def tracked(self) -> Path:
        """Record of the logged keys."""
        return self.path / "tracked"

    @property
    def folds(self) -> Path:
        """Folder of the folders of folds."""
        return self.path / "folds"

    @property
    def is_whole(self) -> bool:
        """True if every subject was held out and scored."""
        return self.metrics.exists()

    @property
    def has_results(self) -> bool:
        """True if the folder contains training results, which must not be mixed with another run."""
        return bool(self.list_finished()) or self.checkpoint.exists()

    def fold(self, number: int) -> FoldFolder:
        """Return the folder of a fold."""
        return FoldFolder(self.folds / f"{number:03d}")

    def list_finished(self) -> list[FoldFolder]:
        """Return the folders of folds that have predictions, sorted by name."""
        return [fold for fold in map(FoldFolder, self.list_places()) if fold.is_whole]

    def list_places(self) -> list[Path]:
        """Return all entries of the folder of folds, sorted by name."""
        return sorted(self.folds.glob("*"))

    def read_config(self) -> dict[str, Any]:
        """Read the resolved config.

        Raises:
            InputError: If it is missing, damaged or not resolved.
        """
        with reading(self.config, RUN_AGAIN):
            return parse_config(self.config.read_text(encoding="utf-8"))

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the resolved config."""
        write_text(self.config, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def read_environment(self) -> dict[str, Any]:
        """Read the environment of the run.

        Raises:
            InputError: If the file is missing or damaged, or an entry is missing or has another type.
        """
        environment = read_json(self.environment, RUN_AGAIN)
        with reading(self.environment, RUN_AGAIN):
            check_environment(environment)
        return environment

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Write the environment of the run."""
        write_json(self.environment, environment)

    def read_scores(self, target: Target) -> dict[str, float]:
        """Read UF1 and UAR of a complete run on all samples, or the mean F1 of action units; else empty.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.is_whole:
            return {}
        remedy = "delete it and give the run's command again, which writes it anew"
        content = read_json(self.metrics, remedy)
        with reading(self.metrics, remedy):
            scores = target.read_scores(content)
            for name, value in scores.items():
                expect_number(expect(value, (int, float), name, "a number"), name)
            return {name: float(value) for name, value in scores.items()}

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        """Write the scores, which mark the run as complete."""
        write_json(self.metrics, scores)

    def write_predictions(self, predictions: pd.DataFrame) -> None:
        """Write the predictions of all finished folds."""
        write_predictions(self.predictions, predictions)

    def read_pairs(self) -> pd.DataFrame | None:
        """Read the pairs of contrastive pretraining; `None` if there are none.

        Returns:
            `sample_id`, `subject`, `intensity` and `kept`.

        Raises:
            InputError: If the file is damaged.
        """
        return read_csv(self.pairs, _PAIRS) if self.pairs.exists() else None

    def write_pairs(self, pairs: pd.DataFrame) -> None:
        """Write the pairs of contrastive pretraining; see `read_pairs`."""
        with atomic(self.pairs) as part:
            pairs.to_csv(part, index=False)

    def read_shifts(self) -> pd.DataFrame:
        """Read the shifts of key frames: `sample_id`, `onset_shift`, `apex_shift`, `clamped`.

        Raises:
            InputError: If the file is missing or damaged.
        """
        return read_csv(self.shifts, SHIFTS)

    def write_shifts(self, shifts: pd.DataFrame) -> None:
        """Write the shifts of key frames; see `read_shifts`."""
        with atomic(self.shifts) as part:
            shifts.to_csv(part, index=False)

    def read_wandb_id(self) -> str | None:
        """Read the W&B id of the run; `None` if it has none.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.wandb_id.exists():
            return None
        with reading(self.wandb_id, "delete it, and W&B is told of a new run"):
            identity = self.wandb_id.read_text(encoding="utf-8").strip()
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", identity):
                raise UnexpectedError(f"it holds {identity[:60]!r}, expected letters and digits")
        return identity

    def write_wandb_id(self, identity: str) -> None:
        """Write the W&B id of the run."""
        write_text(self.wandb_id, identity + "\n")

    def read_tracked(self) -> Tracked | None:
        """Read the record of logged keys; `None` if there is none. Old runs recorded only the logger.

        Raises:
            InputError: If the record is damaged.
        """
        if not self.tracked.exists():
            return None
        remedy = f"delete it and give the command of {self} again, which logs it anew"
        with reading(self.tracked, remedy):
            return parse_tracked(self.tracked.read_text(encoding="utf-8"))

    def write_tracked(self, tracked: Tracked) -> None:
        """Write the record of logged keys."""
        write_json(self.tracked, asdict(tracked))
