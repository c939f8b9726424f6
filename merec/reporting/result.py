"""What a run says at its end: scores with intervals, and the optimism meter."""

from rich.console import Console

from merec.evaluation.results import Result
from merec.presentation.table_formats import print_table
from merec.reporting.action_units import lay_out_units
from merec.reporting.summary import read_optimism, summarize
from merec.reporting.tables import (
    lay_out_optimism,
    lay_out_scores_briefly,
)


def print_result(result: Result, console: Console | None = None) -> None:
    """Print UF1, UAR and accuracy, Full and by data set, and beside them what leaks would have claimed.

    Of action units, the F1 of each.
    """
    console = console or Console()
    if result.target.multilabel:
        scores, optimism = lay_out_units([result]), read_optimism([result])
    else:
        summary = summarize([result])
        scores, optimism = lay_out_scores_briefly(summary), summary.optimism
    print_table(console, scores)
    if not optimism.empty:
        print_table(console, lay_out_optimism([result], optimism))
