"""What a run says at its end: scores with intervals, and the optimism meter."""

from rich.console import Console
from rich.table import Table

from merec.evaluation.runs import Result


def print_result(result: Result) -> None:
    """Print UF1, UAR and accuracy, Full and per data set, with 95 % subject-bootstrap intervals."""
    protocol = result.protocol
    transductive = "transductive pretraining" if result.transductive else "not transductive"
    table = Table(
        title=f"{result.name}: {protocol.name} ({protocol.samples} samples, {protocol.subjects} "
        f"subjects, {protocol.hash}), seeds {', '.join(map(str, result.seeds))}, {transductive}",
        caption="all folds pooled; 95 % subject-bootstrap intervals",
    )
    table.add_column("")
    table.add_column("samples", justify="right")
    for metric in ("UF1", "UAR", "accuracy"):
        table.add_column(metric, justify="right")
    for subset, rows in result.subsets.items():
        cells = [f"{s.value:.4f} [{s.low:.3f}, {s.high:.3f}]" for s in result.score(subset).values()]
        table.add_row(subset, str(rows["sample_id"].nunique()), *cells)
    console = Console()
    console.print(table)
    for seed, reading in zip(result.seeds, result.read_optimism(), strict=False):
        console.print(
            f"optimism meter, seed {seed}: UF1 {reading.honest[0]:.4f} honest (last epoch); choosing the "
            f"best of {reading.epochs} epochs on each held-out subject would have claimed "
            f"{reading.best_epoch[0]:.4f}, one common epoch {reading.best_common_epoch[0]:.4f}; "
            f"random guessing claims {reading.random_guess[0]:.4f} that way",
            style="dim",
            highlight=False,
        )
