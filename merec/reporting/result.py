"""Summary at the end of a run: scores with intervals, and the optimism meter."""

from rich.console import Console

from merec.evaluation.results import Result
from merec.presentation.table_formats import print_table
from merec.studies.action_unit_scores import lay_out_units
from merec.studies.best_epoch_on_test import lay_out_optimism, read_optimism
from merec.studies.scores import lay_out_scores_briefly


def print_result(result: Result, console: Console | None = None) -> None:
    """Print UF1, UAR and accuracy, for Full and by data set, with the scores of the optimism meter.

    For action units, the F1 of each is printed.
    """
    console = console or Console()
    lay_out = lay_out_units if result.target.multilabel else lay_out_scores_briefly
    print_table(console, lay_out([result]))
    if not read_optimism([result]).empty:
        print_table(console, lay_out_optimism([result]))
