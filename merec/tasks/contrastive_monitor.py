"""Monitoring of contrastive pretraining: accuracy on held-out pairs, and a linear probe.

The measurements do not affect training: they draw no random numbers from its generators and change no
statistic of the network.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float, Num
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from merec.evaluation.contrastive_accuracy import LATEST_STEPS
from merec.targets import Target
from merec.types import Batch

log = logging.getLogger(__name__)

ROUNDS = 8  # ways in which held-out pairs are put into batches


@dataclass(frozen=True)
class ProbeData:
    """Labelled samples of training subjects: one part to fit a linear probe on, another part to score it on.

    Attributes:
        train: Batches to fit the probe on.
        inner: Batches to score the probe on.
        target: Target of the labels, which computes the score.
    """

    train: Sequence[Batch]
    inner: Sequence[Batch]
    target: Target


class MonitorContrast(pl.Callback):
    """Callback that measures an encoder every few steps and at the end of contrastive pretraining.

    Args:
        held_out: Batches of the pairs of held-out subjects; empty if nobody is held out.
        batch_size: Number of pairs in which a partner is searched, as in training.
        chance: Accuracy of random guessing on training pairs.
        every: Steps between two measurements; `None` measures at the end only.
        probe: Data of the linear probe; `None` for no probe.
    """

    def __init__(
        self,
        held_out: Sequence[Batch],
        batch_size: int,
        chance: float,
        every: int | None,
        probe: ProbeData | None,
    ):
        self.held_out, self.batch_size, self.chance = held_out, batch_size, chance
        self.every, self.probe = every, probe
        self.rows: list[dict[str, float]] = []
        self.latest: deque[tuple[float, int]] = deque(
            maxlen=LATEST_STEPS
        )  # hits and pairs of a step

    def on_train_batch_end(  # type: ignore[override]
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: dict[str, Tensor],
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Count the matched pairs of a batch, and measure if a measurement is due."""
        self.latest.append((float(outputs["hits"]), len(batch.label) * trainer.world_size))
        if self.every and trainer.global_step % self.every == 0:
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the final encoder."""
        if self.latest:
            self._measure(trainer, pl_module)

    @torch.no_grad()
    def _measure(self, trainer: pl.Trainer, task: Any) -> None:
        precision, backbone = trainer.precision_plugin, task.backbone
        was_training = task.training
        task.eval()

        def run(method: Any, batches: Sequence[Batch]) -> list[Any]:
            with precision.forward_context():
                moved = (precision.convert_input(batch.to(task.device).inputs) for batch in batches)
                return [method(inputs) for inputs in moved]

        embedded = run(backbone.encode, self.held_out)
        accuracy, chance, number = nan, nan, 0
        if embedded:
            first, second = (torch.cat(side).float().cpu() for side in zip(*embedded, strict=True))
            accuracy, chance = match_pairs(first, second, self.batch_size)
            number = len(first)
        probed = nan
        if self.probe is not None:
            train, inner = (
                torch.cat(run(backbone.describe, batches)).float().cpu().numpy()
                for batches in (self.probe.train, self.probe.inner)
            )
            probed = score_probe(train, inner, self.probe)
        task.train(was_training)
        hits, pairs = map(sum, zip(*self.latest, strict=True))
        self.rows.append(
            {
                "step": float(trainer.global_step),
                "accuracy": hits / pairs,
                "chance": self.chance,
                "held_out_accuracy": accuracy,
                "held_out_chance": chance,
                "held_out_pairs": float(number),
                "probe": probed,
            }
        )
        log.info("%s", describe_monitor(self.rows[-1]))
        if trainer.logger:
            measurements = {
                f"pretraining/{key}": value
                for key, value in self.rows[-1].items()
                if key not in ("step", "held_out_pairs") and not isnan(value)
            }
            trainer.logger.log_metrics(measurements, step=trainer.current_epoch)


def describe_monitor(row: dict[str, float]) -> str:
    """Describe a measurement in one line."""
    line = f"step {row['step']:.0f}: contrastive accuracy {row['accuracy']:.1%} (chance {row['chance']:.1%})"
    if not isnan(row["held_out_accuracy"]):
        line += f", held-out subjects {row['held_out_accuracy']:.1%} (chance {row['held_out_chance']:.1%})"
    if not isnan(row["probe"]):
        line += f", linear probe on inner training subjects {row['probe']:.3f}"
    return line


def match_pairs(
    first: Float[Tensor, "pairs size"], second: Float[Tensor, "pairs size"], batch_size: int
) -> tuple[float, float]:
    """Compute the contrastive accuracy of first views within batches, and its chance level.

    The accuracy is averaged over `ROUNDS` fixed divisions of the pairs into full batches.

    Args:
        first: Embeddings of the first views, of unit norm.
        second: Embeddings of the second views.
        batch_size: Pairs per batch; one batch if there are fewer.

    Returns:
        The accuracy and its chance level, 1 / batch size; both NaN for fewer than two pairs.
    """
    size = min(batch_size, len(first))
    if size < 2:
        return nan, nan
    rng, hits, matched = np.random.default_rng(0), 0, 0
    for _ in range(ROUNDS):
        order = torch.from_numpy(rng.permutation(len(first)))
        for start in range(0, len(first) - size + 1, size):
            rows = order[start : start + size]
            similarity = first[rows] @ second[rows].T
            rivals = similarity.clone().fill_diagonal_(-torch.inf).amax(1)
            hits += int((similarity.diagonal() > rivals).sum())
            matched += size
    return hits / matched, 1 / size


def score_probe(
    train: Float[np.ndarray, "train features"],
    inner: Float[np.ndarray, "inner features"],
    probe: ProbeData,
) -> float:
    """Fit a logistic regression on the features of some training subjects and score it on others.

    Args:
        train: Features of the samples in `probe.train`.
        inner: Features of the samples in `probe.inner`.
        probe: Samples with their labels.

    Returns:
        UF1, or the mean F1 of action units.
    """
    label, truth = (
        torch.cat([batch.label for batch in batches]).numpy()
        for batches in (probe.train, probe.inner)
    )
    if label.ndim == 1:
        return probe.target.score(truth, _fit(train, label).predict(inner))
    predicted = np.stack(
        [
            _fit(train, marks).predict(inner)
            if 0 < marks.sum() < len(marks)
            else np.zeros(len(inner))
            for marks in label.T.astype(np.int64)
        ],
        axis=1,
    )
    return probe.target.score(truth, predicted)


def _fit(features: Float[np.ndarray, "train features"], label: Num[np.ndarray, " train"]) -> Any:
    regression = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
    return make_pipeline(StandardScaler(), regression).fit(features, label)
