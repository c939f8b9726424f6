"""Allowed ranges of the numbers of a config, and allowed words of its text keys."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

_MANY = 1_000_000
_PROCESSES = max(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Range:
    """Range of numbers of a key.

    Attributes:
        low: Smallest value.
        high: Largest value.
        whole: Whether only whole numbers are allowed.
        open_low: Whether `low` itself is excluded.
        open_high: Whether `high` itself is excluded.
        null: Whether `null` is allowed.
        many: Whether the key has a non-empty list of such numbers, or nested lists.
        switch: Whether true (1) and false (0) are allowed.
        words: Patterns of texts that are also allowed.
        expected: Description of the expected value, if the numbers are not sufficient.
    """

    low: float | int
    high: float | int
    whole: bool = False
    open_low: bool = False
    open_high: bool = False
    null: bool = False
    many: bool = False
    switch: bool = False
    words: tuple[str, ...] = ()
    expected: str = ""

    def holds(self, value: Any) -> bool:
        """Return whether the key may have this value."""
        if value is None:
            return self.null
        if isinstance(value, bool) and self.switch:
            return True
        if isinstance(value, str) and self.words:
            return any(re.fullmatch(word, value) for word in self.words)
        if isinstance(value, list) and self.many:
            return bool(value) and all(self.holds(one) for one in value)
        kinds = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def describe(self) -> str:
        """Return a description of the expected value."""
        if self.expected:
            return self.expected
        kind = "whole number" if self.whole else "number"
        low = f"above {self.low:,}" if self.open_low else f"from {self.low:,}"
        high = f"below {self.high:,}" if self.open_high else f"to {self.high:,}"
        what = f"a list of {kind}s" if self.many else f"a {kind}"
        alternatives = ", true or false" if self.switch else ", or null" if self.null else ""
        return f"{what} {low} {high}{alternatives}"


def whole(low: int, high: int = _MANY, **more: Any) -> Range:
    """Return a range of whole numbers."""
    return Range(low, high, whole=True, **more)


def real(low: float | int, high: float | int, **more: Any) -> Range:
    """Return a range of real numbers."""
    return Range(low, high, **more)


_COUNT = whole(1)
_SHARE = real(0, 1)
_DROPOUT = real(0, 1, open_high=True)
_RATE = real(0, 100, open_low=True)
_POSITIVE = real(0, _MANY, open_low=True)
_FPS = real(0, 10_000, open_low=True)
_SEED = whole(0, 2**32 - 1)
_FOLDS = whole(
    0,
    null=True,
    words=(r"\d+([-/]\d+)?( *, *\d+([-/]\d+)?)*",),
    expected="numbers of folds as 7, 0-9 or 0-9,20, a share as 1/4, or null for all",
)

# By dotted key, `*` for any name or index; the first that matches counts. Lists are matched as a whole.
RANGES: Mapping[str, Range] = {
    "seed": _SEED,
    "datamodule.seed": _SEED,
    "task.seed": _SEED,
    "fold": whole(0, null=True),
    "corpus.classes": whole(2, 100),
    "corpus.parts.*.classes": whole(2, 100),
    "corpus.fps": _FPS,
    "corpus.parts.*.fps": _FPS,
    "corpus.intrinsics.fx": _POSITIVE,  # px, as the others
    "corpus.intrinsics.fy": _POSITIVE,
    "corpus.intrinsics.cx": real(0, 100_000),
    "corpus.intrinsics.cy": real(0, 100_000),
    "corpus.intrinsics.width": whole(1, 100_000),
    "corpus.intrinsics.height": whole(1, 100_000),
    "corpus.render.subjects": whole(1, 10_000),
    "corpus.render.samples": whole(1, 1_000),
    "corpus.render.unlabelled": whole(0, 100_000),
    "corpus.render.macro": whole(0, 100_000),
    "corpus.render.zero_motion": _SHARE,
    "corpus.render.width": whole(64, 4096),  # px
    "corpus.render.height": whole(64, 4096),
    "corpus.render.quality": whole(1, 100),
    "corpus.render.noise": real(0, 100),
    "corpus.render.depth_noise": real(0, 100, null=True),  # mm
    "corpus.render.depth_step": real(0.05, 10),  # mm; of finer ones 16 bits do not reach the wall
    "corpus.render.head": real(0, 100),
    "corpus.render.gaze": real(0, 100),
    "corpus.render.blinks": real(0, 600),  # per minute
    "corpus.render.seed": _SEED,
    "features.depth_noise": real(0, 1_000),  # mm
    "features.crops.size": whole(28, 1024),  # px
    "features.crops.margin": real(0, 2),
    "features.motion.m*_depth*": real(0, 10_000, open_low=True),  # mm
    "features.points.k": whole(1, 100_000),
    "features.points.smooth_dz": real(0, 100),  # px
    "features.points.powers": real(0, 100, open_low=True, many=True),
    "features.clip.frames": whole(2, 1_000),
    "features.clip.size": whole(16, 1024),  # px
    "features.pool.windows": whole(1, 10_000),
    "features.pool.seconds": real(0, 3_600, open_low=True),
    "features.pool.step": whole(1, 10_000),
    "datamodule.batch_size": _COUNT,
    "datamodule.size": whole(16, 1024, null=True),
    "datamodule.num_workers": whole(0, _PROCESSES),
    "datamodule.jitter.onset": whole(-10_000, 10_000),  # frames
    "datamodule.jitter.apex": whole(-10_000, 10_000),
    "*.augment.crop": real(0, 1, open_low=True),
    "*.augment.scale": real(1, 100),
    "*.augment.shift": real(0, 100),
    "*.augment.rotate": real(0, 180),
    "*.augment.flip": _SHARE,
    "*.augment.jitter": _SHARE,
    "*.augment.gr?y*": _SHARE,
    "*.augment.dropout": _SHARE,
    "backbone.streams": whole(1, 10_000, many=True),
    "backbone.widths": whole(1, 100_000, many=True),
    "backbone.depths": whole(1, 1_000, many=True),
    "backbone.strides": whole(1, 28, many=True),
    "backbone.keep": real(0, 1, open_low=True, many=True),
    "backbone.padding": whole(0, 28),
    "backbone.size": whole(1, 4096),
    "backbone.patch": whole(1, 4096),
    "backbone.pooled": whole(1, 28),
    "backbone.heads": whole(1, 1_000),
    "backbone.depth": whole(1, 1_000),
    "backbone.stem": whole(1, 100_000),
    "backbone.filters": whole(1, 100_000),
    "backbone.embedding": whole(1, 100_000),
    "backbone.*width": whole(1, 100_000),
    "backbone.*blocks": whole(1, 1_000),
    "backbone.*layers": whole(1, 1_000),
    "backbone.neighbours": whole(1, 10_000),
    "backbone.queries": whole(1, 10_000),
    "backbone.*dropout": _DROPOUT,
    "backbone.drop_path": _DROPOUT,
    "recipe.class_balanced": real(0, 2, switch=True),
    "recipe.pretrain.steps": whole(1, null=True),  # before eps, with which it ends
    "recipe.*lr": _RATE,
    "recipe.*weight_decay": real(0, 100),
    "recipe.*momentum": _DROPOUT,
    "recipe.*betas": real(0, 1, open_high=True, many=True),
    "recipe.*eps": real(0, 1, open_low=True),
    "recipe.*gamma": real(0, 10, open_low=True),
    "recipe.*milestones": whole(1, many=True),
    "recipe.*step_size": _COUNT,
    "recipe.*T_max": _COUNT,
    "recipe.*eta_min": real(0, 100),
    "recipe.pretrain.epochs": whole(1, null=True),
    "recipe.pretrain.batch_size": _COUNT,
    "loss.gamma": real(0, 100),
    "task.folds": _FOLDS,
    "folds": _FOLDS,
    "task.pretrain_epochs": whole(1, null=True),
    "task.pretrain_steps": whole(1, null=True),
    "task.monitor_steps": whole(1, null=True),
    "task.pretrain_groups": whole(1, null=True),
    "task.groups": whole(2, 100_000, null=True),
    "task.train_subjects": whole(1, 100_000, null=True),
    "task.*_intensity": real(0, _MANY),
    "task.*_subjects": whole(1, 100_000),
    "task.inner_parts": whole(2, 1_000),
    "task.workers": whole(1, _PROCESSES, null=True),
    "task.chunk": whole(1, 100_000, null=True),
    "task.contrast.negatives": _COUNT,
    "task.contrast.temperature": real(0, 1_000, open_low=True),
    "task.contrast.momentum": _DROPOUT,
    "task.pool.batch_size": whole(1, null=True),
    "task.describe.*cells": whole(1, 28),
    "task.describe.*spread": real(0, 28, open_low=True),
    "task.estimators.*.C": real(0, 1e9, open_low=True),
    "task.estimators.*__C": real(0, 1e9, open_low=True, many=True),
    "task.estimators.*.max_iter": _COUNT,
    "task.estimators.*.n_splits": whole(2, 1_000),
    "task.estimators.*.blocks": whole(1, 4),
    "task.estimators.*.families.*": whole(0, 3, many=True),
    "task.estimators.*.cells": whole(1, 28, many=True),
    "task.estimators.*.widths": real(0, 1e6, open_low=True, many=True),
    "task.estimators.*.ridges": real(0, 1e9, open_low=True, many=True),
    "logger.settings.*timeout": real(0, 3_600),  # s
    "trainer.max_epochs": _COUNT,
    "trainer.devices": whole(
        -1, 1_024, many=True, words=("auto", r"\d+(,\d+)*"), expected="a number of devices, or auto"
    ),
    "trainer.num_nodes": whole(1, 10_000),
    "trainer.num_sanity_val_steps": whole(-1),
    "trainer.accumulate_grad_batches": _COUNT,
    "trainer.gradient_clip_val": real(0, _MANY, open_low=True, null=True),
}

WORDS: Mapping[str, tuple[str | bool | None, ...]] = {
    "resume": ("same", "force"),
    "corpus.render.frames": ("pair", "key", "all"),
    "corpus.render.camera": ("d415", "l515", "ideal"),
    "features.motion.flow": ("dis", "tvl1", "farneback"),
    "features.motion.head": (False, True),
    "features.motion.blinks": (False, True),
    "features.points.select": ("motion", "uniform"),
    "features.points.scale": ("max", "rms"),
    "features.view_region": ("crop", "face"),
    "features.difference": ("signed", "abs", "wrap_uint8"),
    "features.pool.intensity": ("motion", "blendshapes"),
    "datamodule.modality": ("rgb", "depth", "fused"),
    "datamodule.views": (None, "rgb", "depth", "flow"),
    "datamodule.scaling": ("raw", "unit", "standard"),
    "logger.mode": ("online", "offline", "disabled", "shared"),
    "task.compiled": (False, True),
    "task.engine": ("loop", "processes", "stacked", "auto"),
    "task.selection": ("last", "inner"),
    "task.hold_out": ("subject", "groups", "corpus"),
    "task.target": ("emotion", "action_units"),
    "task.freeze": ("none", "encoder"),
    "task.pretrain": (None, "macro", "contrastive"),
    "task.pool.source": ("unlabelled", "samples", "both"),
    "task.contrast.mode": ("softmax", "nce", "in_batch"),
    "task.contrast.z": ("first_batch", "ema"),
}
# Settings of a rendered corpus that have no effect if a real annotation table is rendered.
TAKEN_FROM_TABLE = ("subjects", "samples", "zero_motion")


@cache
def find_range(key: str) -> Range | None:
    """Return the range of a dotted key; `None` if it has none."""
    return next((one for pattern, one in RANGES.items() if fnmatchcase(key, pattern)), None)
