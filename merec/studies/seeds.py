"""Scores of each seed, and their spread."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merec.evaluation.results import IDENTITY, Result
from merec.presentation.numbers_and_captions import (
    NOTHING,
    describe_results,
    format_list,
    format_number,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer


def answer(results: Sequence[Result]) -> Answer:
    """Lay out the scores of each seed; no table if all results have one seed."""
    table = lay_out_seeds(results)
    frames = {"seeds": list_seeds(results)} if results[0].target.multilabel else {}
    return Answer("Seeds", [table], {"seeds": table}, frames)


def list_seeds(results: Sequence[Result]) -> pd.DataFrame:
    """List the scores of every seed, one row per result and seed."""
    tables = [
        pd.DataFrame({"seed": result.seeds} | result.score_seeds()).assign(**result.identity)
        for result in results
    ]
    return pd.concat(tables)[[*IDENTITY, "seed", *results[0].target.metrics]]


def lay_out_seeds(results: Sequence[Result]) -> Table | None:
    """Lay out the scores of each seed and their spread on all samples; `None` if all have one seed."""
    rows = []
    for result in results:
        scores = result.score_seeds()
        cells = {"Method": result.name, "Seeds": format_list(result.seeds)}
        for metric in result.target.metrics:
            values = scores[metric]
            several = len(values) > 1
            cells[metric.upper()] = format_list([format_number(value) for value in values])
            ends = f"{format_number(min(values))} – {format_number(max(values))}"
            cells[f"{metric.upper()} range"] = ends if several else NOTHING
            spread = float(np.std(values, ddof=1)) if several else np.nan
            cells[f"{metric.upper()} SD"] = format_number(spread)
        rows.append(cells)
    if all(len(result.seeds) == 1 for result in results):
        return None
    caption = (
        f"{describe_results(results)} All folds of each seed pooled, in the order of the seeds; range and "
        "standard deviation over seeds, which say nothing of other subjects."
    )
    return Table("Seeds", caption, pd.DataFrame(rows))
