"""F1 and recall of each class."""

from collections.abc import Sequence

import pandas as pd

from merec.evaluation.results import Result
from merec.presentation.notation import describe_results, format_number
from merec.presentation.table import Table
from merec.studies.answer import Answer


def answer(results: Sequence[Result]) -> Answer:
    """Score each class of each result."""
    table = lay_out_classes(results)
    return Answer("Classes", [table], {"classes": table}, {"classes": score_classes(results)})


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
