"""Score and number of kept pairs against the intensity threshold of pretraining."""

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.figure import Figure

from merec.evaluation.results import IDENTITY, Result
from merec.presentation.figure_style import COLOURS, MEDIUM, SMALL, measure_reach, tidy
from merec.presentation.numbers_and_captions import (
    describe_interval,
    describe_results,
    format_interval,
    spell_uf1,
)
from merec.presentation.table import Table
from merec.studies.answer import Answer, Picture

_UNITS = {"motion": "hundredths of the distance between the eyes", "blendshapes": "0 to 1"}
_BINS = 40
_COLUMNS = [
    *(*IDENTITY, "study", "estimator", "least_intensity", "pairs", "kept", "dropped"),
    *("uf1", "uf1_low", "uf1_high", "uar", "uar_low", "uar_high"),
]


def answer(results: Sequence[Result]) -> Answer:
    """Show the score and the number of kept pairs by threshold; empty without pretraining on pairs."""
    title, rows = "Threshold of intensity", read_thresholds(results)
    if rows.empty:
        return Answer(title, frames={"threshold": rows})
    table = lay_out_thresholds(results, rows)
    drawn = [*draw_studies(rows), *draw_pools(results, rows)]
    pictures = [picture._replace(name=f"threshold-{n}") for n, picture in enumerate(drawn)]
    return Answer(title, [*pictures, table], {"threshold": table}, {"threshold": rows})


def read_pairs(result: Result) -> pd.DataFrame | None:
    """Read the pool of pretraining pairs of a result (see `RunFolder.read_pairs`), equal for all runs."""
    pair_tables = (run.folder.read_pairs() for run in result.runs)
    return next((pairs for pairs in pair_tables if pairs is not None), None)


def count_pairs(pairs: pd.DataFrame) -> dict[str, int]:
    """Count all pairs, and those that the threshold `kept` and `dropped`."""
    kept = int(pairs["kept"].sum())
    return {"pairs": len(pairs), "kept": kept, "dropped": len(pairs) - kept}


def read_thresholds(results: Sequence[Result]) -> pd.DataFrame:
    """Read threshold, numbers of pairs and score of every result that was pretrained on pairs.

    Returns:
        One row per result: `study` (equal for results that differ only in the threshold), the `estimator` of
        intensity (`motion`, `blendshapes`), the threshold `least_intensity` in its units, `pairs`, `kept`,
        `dropped`, and UF1 and UAR on Full with the ends of their intervals.
    """
    rows = []
    for result in results:
        pairs = read_pairs(result)
        if pairs is None:
            continue
        scores, settings = result.score(), result.settings
        row: dict[str, object] = {
            **result.identity,
            "study": result.hash_without(["least_intensity"]),
            "estimator": str(settings["datamodule"]["features"]["pool"]["intensity"]),
            "least_intensity": float(settings["least_intensity"]),
            **count_pairs(pairs),
        }
        for metric in ("uf1", "uar"):
            row |= scores[metric].to_columns(metric)
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else _COLUMNS)


def lay_out_thresholds(results: Sequence[Result], table: pd.DataFrame) -> Table:
    """Lay out kept pairs and score of each threshold; rows of `read_thresholds`."""
    rows = [
        {
            "Method": row["result"],
            "Threshold": f"{row['least_intensity']:g}",
            "Intensity by": row["estimator"],
            "Pairs kept": str(row["kept"]),
            "Dropped": str(row["dropped"]),
            "UF1": format_interval(row["uf1"], row["uf1_low"], row["uf1_high"]),
            "UAR": format_interval(row["uar"], row["uar_low"], row["uar_high"]),
        }
        for _, row in table.iterrows()
    ]
    compared = [result for result in results if result.name in set(table["result"])]
    units = "; ".join(f"{name}: {_UNITS[name]}" for name in table["estimator"].unique())
    caption = (
        f"{describe_results(compared)} Pairs at or above the threshold are kept, of the whole pool; a fold "
        f"leaves its held-out subject's out besides. Unit of the threshold: {units}. "
        f"[{describe_interval()}]."
    )
    return Table("Threshold of intensity", caption, pd.DataFrame(rows))


def draw_studies(thresholds: pd.DataFrame) -> Iterator[Picture]:
    """Draw UF1 against the threshold, for results that differ only in the threshold."""
    for _, rows in thresholds.groupby("study", sort=False):
        if rows["least_intensity"].nunique() < 2:
            continue
        rows = rows.sort_values("least_intensity")
        alt = "UF1 with 95 % interval against the threshold of intensity: " + "; ".join(
            f"{row['least_intensity']:g} gives {spell_uf1(row)}" for _, row in rows.iterrows()
        )
        caption = (
            f"{'; '.join(rows['result'])}: equal but for the threshold. 95 % intervals of whole subjects "
            "drawn with replacement; below each threshold the pairs it kept."
        )
        yield Picture("threshold", draw_study(rows), alt, caption)


def draw_study(rows: pd.DataFrame) -> Figure:
    """Draw UF1 against the threshold with intervals.

    Args:
        rows: Rows of one study in ascending order; see `read_thresholds`.
    """
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    threshold, score = rows["least_intensity"].to_numpy(), rows["uf1"].to_numpy()
    reach = measure_reach(rows, "uf1")
    axes.errorbar(threshold, score, yerr=reach, fmt="o-", color=COLOURS[0], capsize=3)
    names = [
        f"{t:g}\n{kept} kept" for t, kept in zip(threshold.tolist(), rows["kept"], strict=True)
    ]
    axes.set_xticks(threshold, names)
    axes.set_ylim(0, 1)
    axes.set_xlabel(_name_axis("threshold of", rows["estimator"].iloc[0]), fontsize=MEDIUM)
    axes.set_ylabel("UF1", fontsize=MEDIUM)
    tidy(axes, "y")
    return figure


def draw_pools(results: Sequence[Result], thresholds: pd.DataFrame) -> Iterator[Picture]:
    """Draw the intensities of each pool, with the thresholds of the results pretrained on it."""
    pools: dict[str, list[Result]] = {}
    for result in results:
        pairs = read_pairs(result)
        if pairs is not None:
            pools.setdefault(pairs[["sample_id", "intensity"]].to_csv(), []).append(result)
    for members in pools.values():
        names = [result.name for result in members]
        table = thresholds[thresholds["result"].isin(names)]
        counts = [f"{row['least_intensity']:g} {_count(row)}" for _, row in table.iterrows()]
        alt = "Histogram of the intensities of all pairs; threshold " + "; ".join(
            dict.fromkeys(counts)
        )
        caption = f"The pool of {'; '.join(names)}: pairs by intensity, and what a threshold keeps."
        yield Picture("threshold", draw_intensities(members[0], table), alt, caption)


def draw_intensities(result: Result, thresholds: pd.DataFrame | None = None) -> Figure:
    """Draw a histogram of the intensities of a pool, with thresholds and numbers of kept and dropped pairs.

    Args:
        result: Result that was pretrained on the pool.
        thresholds: Rows of `read_thresholds` of all results with this pool; `None` for this result only.
    """
    table = read_thresholds([result]) if thresholds is None else thresholds
    pairs = read_pairs(result)
    assert pairs is not None
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.hist(pairs["intensity"], bins=_BINS, color=COLOURS[4])
    table = table.drop_duplicates("least_intensity").sort_values("least_intensity")
    for number, (_, row) in enumerate(table.iterrows()):
        axes.axvline(
            row["least_intensity"],
            color=COLOURS[(5, 0, 2, 3, 1)[number % 5]],
            linewidth=1.8,
            label=f"threshold {row['least_intensity']:g}: {_count(row)}",
        )
    axes.set_xlabel(_name_axis("", table["estimator"].iloc[0]), fontsize=MEDIUM)
    axes.set_ylabel("pairs", fontsize=MEDIUM)
    axes.legend(fontsize=SMALL, frameon=False)
    tidy(axes, "y")
    return figure


def _count(row: pd.Series) -> str:
    return f"{row['kept']} kept, {row['dropped']} dropped"


def _name_axis(prefix: str, estimator: str) -> str:
    return f"{prefix} intensity by {estimator} ({_UNITS[estimator]})".strip()
