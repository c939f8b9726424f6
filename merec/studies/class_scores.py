"""F1 and recall of each class, its most frequent confusion, and UF1 without it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merec.evaluation.results import Result
from merec.evaluation.subject_bootstrap import DIFFERENCE_RANGE, score_intervals
from merec.metrics import Confusion, f1_per_class, uf1, uf1_without_each
from merec.presentation.numbers_and_captions import (
    NOTHING,
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    format_number,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer


def answer(results: Sequence[Result]) -> Answer:
    """Score each class of each result, and compute UF1 without it."""
    left_out = ablate_classes(results)
    tables = {"classes": lay_out_classes(results), "ablation": lay_out_ablation(results, left_out)}
    frames = {"classes": score_classes(results), "ablation": left_out}
    return Answer("Classes", list(tables.values()), tables, frames)


def score_classes(results: Sequence[Result]) -> pd.DataFrame:
    """Compute F1 and recall of each class, averaged over seeds, one row per result, subset and class."""
    rows = []
    for result in results:
        for subset in result.subsets:
            for name, scores in result.score_classes(subset).items():
                rows.append(result.identity | {"subset": subset, "class": name} | scores)
    return pd.DataFrame(rows)


def lay_out_classes(results: Sequence[Result]) -> Table:
    """Lay out F1/recall of each class on Full, one row per result."""
    scores = score_classes(results)
    full = scores[scores["subset"] == "Full"]
    rows = []
    for name, classes in full.groupby("result", sort=False):
        cells = {"Method": str(name)}
        for _, row in classes.iterrows():
            scores = f"{format_number(row['f1'])}/{format_number(row['recall'])}"
            scores = scores if row["samples"] else "absent"
            cells[f"{row['class']} (n = {row['samples']})"] = scores
        rows.append(cells)
    caption = f"{describe_results(results)} F1/recall of all folds pooled, mean over seeds."
    return Table("Per class", caption, pd.DataFrame(rows))


def ablate_classes(results: Sequence[Result]) -> pd.DataFrame:
    """Compute the F1 of each class, its most frequent confusion, and the UF1 of the other classes.

    No network is trained again: the predictions come from networks that know all classes.

    Returns:
        One row per result and class, on all samples: its `samples`; `f1` with `f1_low` and `f1_high`; the
        class it is most often `taken_for`, and the `share` of its samples for which this happens;
        `uf1_without` (see `uf1_without_each`) and its `difference` to UF1 with `low` and `high`. Averaged
        over seeds, 95 % subject bootstrap.
    """
    rows = []
    for result in results:
        classes = result.protocol.classes
        counts = result.confusions()[1]
        f1 = score_intervals(f1_per_class, counts, per_part=True)
        gain = score_intervals(_gain_without_each, counts, per_part=False, limits=DIFFERENCE_RANGE)
        without = uf1_without_each(counts.sum(1)).mean(0)
        pooled = counts.sum((0, 1))
        wrong = pooled - np.diag(np.diag(pooled))
        for number, name in enumerate(classes):
            confused = int(wrong[number].argmax())
            total = int(pooled[number].sum())
            rows.append(
                {
                    **result.identity,
                    "class": name,
                    "samples": total // len(counts),
                    **dict(zip(("f1", "f1_low", "f1_high"), f1[:, number], strict=True)),
                    "taken_for": classes[confused] if wrong[number, confused] else "",
                    "share": wrong[number, confused] / max(total, 1),
                    "uf1_without": without[number],
                    **dict(zip(("difference", "low", "high"), gain[:, number], strict=True)),
                }
            )
    return pd.DataFrame(rows)


def _gain_without_each(counts: Confusion) -> np.ndarray:
    """Compute the UF1 without a class minus the UF1 of all classes."""
    return uf1_without_each(counts) - uf1(counts)[..., None]


def lay_out_ablation(results: Sequence[Result], rows: pd.DataFrame) -> Table:
    """Lay out the most frequent confusion of each class, and UF1 without it."""
    cells = [
        {
            "Method": row["result"],
            "Class": row["class"],
            "n": str(row["samples"]),
            "F1": format_interval(row["f1"], row["f1_low"], row["f1_high"]),
            "Most taken for": (
                f"{row['taken_for']} ({100 * row['share']:.0f} %)" if row["taken_for"] else NOTHING
            ),
            "UF1 without it": format_number(row["uf1_without"]),
            "Less UF1": format_change(row),
        }
        for _, row in rows.iterrows()
    ]
    caption = (
        f"{describe_results(results)} Mean over seeds [{describe_interval()}]. "
        "Most taken for: another class, and the share of its own samples. UF1 without it: its "
        "samples left out, mean F1 of the others; others taken for it stay mistakes. Nothing is trained "
        "again."
    )
    return Table("Classes left out", caption, pd.DataFrame(cells))
