"""Score against the shift of key frames, for results that differ only in the shift."""

from collections.abc import Iterator, Sequence

import pandas as pd
from matplotlib.figure import Figure

from merec.evaluation.comparison import compare_if_paired
from merec.evaluation.results import IDENTITY, Result
from merec.presentation.figure_style import COLOURS, MEDIUM, SMALL, measure_reach, tidy
from merec.presentation.numbers_and_captions import (
    NOTHING,
    describe_interval,
    describe_results,
    format_change,
    format_interval,
    spell_uf1,
)
from merec.presentation.table import Table
from merec.run_folder import SHIFTS
from merec.run_folder.identity import configuration_hash
from merec.studies.answer import Answer, Picture

_ASIDE = 0.12  # frames by which lines of one figure stand apart, so that intervals do not hide each other
_CHANGE = ("difference", "low", "high")
_COLUMNS = [
    *(*IDENTITY, "study", "onset", "apex", "onset_reached", "apex_reached", "clamped", "samples"),
    *("uf1", "uf1_low", "uf1_high", "uar", "uar_low", "uar_high"),
    *_CHANGE,
]


def answer(results: Sequence[Result]) -> Answer:
    """Show the score against the shift; empty if no key frames are shifted."""
    title, rows = "Key frames off the annotated ones", read_jitters(results)
    if rows.empty:
        return Answer(title, frames={"jitter": rows})
    table = lay_out_jitter(results, rows)
    drawn = draw_jitters(rows)
    pictures = [picture._replace(name=f"jitter-{n}") for n, picture in enumerate(drawn)]
    return Answer(title, [*pictures, table], {"jitter": table}, {"jitter": rows})


def read_jitter(result: Result) -> tuple[int, int]:
    """Read the configured shift of onset and apex in frames."""
    asked = (result.settings.get("datamodule") or {}).get("jitter") or {}
    return int(asked.get("onset", 0)), int(asked.get("apex", 0))


def read_shifts(result: Result) -> pd.DataFrame:
    """Read the actual shift of each sample's key frames, which is equal for all runs of a result.

    Returns:
        `sample_id`, `onset_shift` and `apex_shift` in frames, and `clamped`: whether a shift had to be
        reduced. Empty without shifts.

    Raises:
        InputError: If the file is missing or damaged.
    """
    if read_jitter(result) == (0, 0):
        return pd.DataFrame(columns=list(SHIFTS))
    return result.runs[0].folder.read_shifts()


def read_jitters(results: Sequence[Result]) -> pd.DataFrame:
    """Read the studies of shifts: results that differ only in the shift of their key frames.

    Returns:
        One row per result: `study` (equal within one study), `onset` and `apex` (configured shift, frames),
        `onset_reached` and `apex_reached` (mean actual shift), `clamped` (number of samples with a reduced
        shift), `samples`, UF1 and UAR on Full with the ends of their intervals, and `difference`, the UF1
        minus the UF1 with annotated key frames, with the ends `low` and `high` of its paired interval (NaN if
        there is no such result, or for this result).
    """
    studies: dict[str, list[Result]] = {}
    for result in results:
        studies.setdefault(_hash_otherwise(result), []).append(result)
    rows = []
    for study, members in studies.items():
        if not any(map(_is_shifted, members)):
            continue
        annotated = next((result for result in members if not _is_shifted(result)), None)
        rows += [_describe(study, result, annotated) for result in sorted(members, key=read_jitter)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _describe(study: str, result: Result, annotated: Result | None) -> dict[str, object]:
    onset, apex = read_jitter(result)
    shifts, scores = read_shifts(result), result.score()
    reached = shifts[["onset_shift", "apex_shift"]].mean().fillna(0)
    row: dict[str, object] = {
        **result.identity,
        "study": study,
        "onset": onset,
        "apex": apex,
        "onset_reached": reached["onset_shift"],
        "apex_reached": reached["apex_shift"],
        "clamped": int(shifts["clamped"].sum()),
        "samples": result.predictions["sample_id"].nunique(),
    }
    for metric in ("uf1", "uar"):
        row |= scores[metric].to_columns(metric)
    if annotated is None or annotated is result:
        return row
    comparison = compare_if_paired(annotated, result)
    return (
        row if comparison is None else row | comparison.iloc[0][[*_CHANGE]].to_dict()
    )  # UF1 on Full


def _is_shifted(result: Result) -> bool:
    return read_jitter(result) != (0, 0)


def _hash_otherwise(result: Result) -> str:
    """Return a hash of the configuration without jitter."""
    settings = result.settings
    data = settings.get("datamodule") or {}
    rest = {key: value for key, value in data.items() if key != "jitter"}
    return configuration_hash(settings | {"datamodule": rest})


def lay_out_jitter(results: Sequence[Result], table: pd.DataFrame) -> Table:
    """Lay out the score of each shift; rows of `read_jitters`."""
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
    compared = [result for result in results if result.name in set(table["result"])]
    caption = (
        f"{describe_results(compared)} Equal but for the key frames of the held-out samples, shifted by "
        "so many frames; all were trained on annotated ones. Reached: mean shift of onset and apex. Clamped: "
        "samples of which one could not go all the way, as the frame is not on disk or the onset would not "
        "stay before the apex; it went as far as it could. Less annotated: UF1 less that of annotated key "
        "frames. "
        f"[{describe_interval()}; paired for a difference]."
    )
    return Table("Key frames off the annotated ones", caption, pd.DataFrame(rows))


def draw_jitters(jitters: pd.DataFrame) -> Iterator[Picture]:
    """Draw UF1 against the shift, one figure per study."""
    for _, rows in jitters.groupby("study", sort=False):
        lines = split_lines(rows)
        if not lines:
            continue
        labels = [
            f"{name} shifted: "
            + "; ".join(f"{row['shift']:+d} gives {spell_uf1(row)}" for _, row in line.iterrows())
            for name, line in lines.items()
        ]
        caption = (
            f"{rows['result'].iloc[0]} and {len(rows) - 1} more, equal but for the key frames they were "
            "tested with. 95 % intervals of whole subjects drawn with replacement."
        )
        alt = f"UF1 with 95 % interval against the shift in frames. {'. '.join(labels)}"
        yield Picture("jitter", draw_study(lines), alt, caption)


def split_lines(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split rows of `read_jitters` into lines of a figure by the shifted key frame, sorted by `shift`."""
    onset, apex = rows["onset"], rows["apex"]
    parts = {
        "apex": rows[onset == 0].assign(shift=apex),
        "onset": rows[apex == 0].assign(shift=onset),
        "both": rows[onset == apex].assign(shift=apex),
    }
    return {name: part.sort_values("shift") for name, part in parts.items() if len(part) > 1}


def draw_study(lines: dict[str, pd.DataFrame]) -> Figure:
    """Draw UF1 against the shift with intervals.

    Args:
        lines: Lines of one study, see `split_lines`.
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
