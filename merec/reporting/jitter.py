"""Key frames that were spotted badly, for people: the score against their shift."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from merec.presentation.figure_style import COLOURS, MEDIUM, SMALL, measure_reach, tidy
from merec.presentation.notation import (
    NOTHING,
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    format_number,
)
from merec.presentation.table import Table
from merec.reporting.summary import Summary
from merec.reporting.threshold import Drawn

_ASIDE = 0.12  # frames by which lines of one figure stand apart, so that intervals do not hide each other


def lay_out_jitter(summary: Summary) -> Table | None:
    """What each shift of the key frames scored; `None` where none are shifted."""
    table = summary.jitters
    if table.empty:
        return None
    rows = [
        {
            "Method": row["result"],
            "Onset": _sign(row["onset"]),
            "Apex": _sign(row["apex"]),
            "Reached": f"{row['onset_reached']:+.1f}, {row['apex_reached']:+.1f}",
            "Clamped": f"{row['clamped']} of {row['samples']}",
            "UF1": format_interval(row["uf1"], row["uf1_low"], row["uf1_high"]),
            "UAR": format_interval(row["uar"], row["uar_low"], row["uar_high"]),
            "Less annotated": NOTHING if pd.isna(row["difference"]) else format_change(row),
        }
        for _, row in table.iterrows()
    ]
    shown = [result for result in summary.results if result.name in set(table["result"])]
    caption = (
        f"{describe_results(shown)} Equal but for the key frames of the held-out samples, shifted by so many "
        "frames; all were trained on annotated ones. Reached: mean shift of onset and apex. Clamped: samples "
        "of which one could not go all the way, as the frame is not on disk or the onset would not stay "
        "before the apex; it went as far as it could. Less annotated: UF1 less that of annotated key frames. "
        f"[{describe_interval()}; paired for a difference]."
    )
    return Table("Key frames off the annotated ones", caption, pd.DataFrame(rows))


def draw_jitters(summary: Summary) -> Iterator[Drawn]:
    """UF1 against the shift, one figure for each set of results that differ in nothing else."""
    for _, rows in summary.jitters.groupby("study", sort=False):
        lines = split_lines(rows)
        if not lines:
            continue
        said = [
            f"{name} shifted: "
            + "; ".join(
                f"{row['shift']:+d} gives {format_number(row['uf1'])} from "
                f"{format_number(row['uf1_low'])} to {format_number(row['uf1_high'])}"
                for _, row in line.iterrows()
            )
            for name, line in lines.items()
        ]
        caption = (
            f"{rows['result'].iloc[0]} and {len(rows) - 1} more, equal but for the key frames they were "
            "tested with. 95 % intervals of whole subjects drawn with replacement."
        )
        alt = f"UF1 with 95 % interval against the shift in frames. {'. '.join(said)}"
        yield Drawn(draw_study(lines), alt, caption)


def split_lines(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What a figure joins by a line: rows of `read_jitters` by what is shifted, in order of their `shift`."""
    onset, apex = rows["onset"], rows["apex"]
    parts = {
        "apex": rows[onset == 0].assign(shift=apex),
        "onset": rows[apex == 0].assign(shift=onset),
        "both": rows[onset == apex].assign(shift=apex),
    }
    return {name: part.sort_values("shift") for name, part in parts.items() if len(part) > 1}


def draw_study(lines: dict[str, pd.DataFrame]) -> Figure:
    """UF1 against the shift with intervals.

    Args:
        lines: Of one study, see `split_lines`.
    """
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    shifts = sorted({shift for line in lines.values() for shift in line["shift"]})
    for number, (name, line) in enumerate(lines.items()):
        aside = _ASIDE * (number - (len(lines) - 1) / 2)
        axes.errorbar(
            line["shift"].to_numpy() + aside,
            line["uf1"].to_numpy(),
            yerr=measure_reach(line, "uf1"),
            fmt="o-",
            color=COLOURS[(0, 5, 2)[number]],
            capsize=3,
            label=name,
        )
    axes.axvline(0, color="#cccccc", linewidth=1, zorder=0)
    axes.set_xticks(shifts, [_sign(shift) for shift in shifts])
    axes.set_ylim(0, 1)
    axes.set_xlabel(f"shift of {' or '.join(lines)} (frames; 0: as annotated)", fontsize=MEDIUM)
    axes.set_ylabel("UF1", fontsize=MEDIUM)
    if len(lines) > 1:
        axes.legend(fontsize=SMALL, frameon=False)
    tidy(axes, "y")
    return figure


def _sign(frames: int) -> str:
    return f"{frames:+d}" if frames else "0"
