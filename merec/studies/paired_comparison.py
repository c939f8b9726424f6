"""Paired comparison of two or more sides: tables of differences, and a sentence for quotation."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import pandas as pd

from merec.evaluation.results import Result, Score
from merec.evaluation.subject_bootstrap import DRAWS
from merec.presentation.numbers_and_captions import (
    describe_interval,
    describe_remarks,
    describe_results,
    format_change,
    format_interval,
    format_list,
    format_number,
    format_p,
    name_subset,
)
from merec.presentation.table import Table
from merec.run_folder.identity import flatten, shared_settings

ALPHA = 0.05  # told apart: a corrected p no greater
_WIDE = 4  # columns of differences that fit a terminal
_INTERVAL = f"[{describe_interval(paired=True)}]"


@dataclass(frozen=True)
class Comparison:
    """Sides and the comparisons of their pairs.

    Attributes:
        sides: Two or more results with different names.
        reference: Name of the side with which all other sides are compared; `None` for all pairs.
        pairs: See `compare_sides`.
        classes: See `compare_classes`.
    """

    sides: list[Result]
    reference: str | None
    pairs: pd.DataFrame
    classes: pd.DataFrame

    @property
    def letters(self) -> dict[str, str]:
        """Letter of each side, by name."""
        names = [side.name for side in self.sides]
        return dict(zip(names, ascii_uppercase, strict=False))

    @property
    def full(self) -> pd.DataFrame:
        """Pairs on all samples, in the main metric."""
        return self.pairs[(self.pairs["subset"] == "Full") & (self.pairs["metric"] == self.metric)]

    @property
    def metric(self) -> str:
        """Main metric: UF1, or the mean F1 of action units."""
        return self.sides[0].target.metrics[0]

    def score(self, side: Result) -> Score:
        """Compute the main metric of a side on all samples."""
        return side.score()[self.metric]


def lay_out_comparison(table: pd.DataFrame, a: Result, b: Result) -> Table:
    """Lay out the comparison as a readable table."""
    rows = [
        {
            "Samples of": name_subset(row["subset"]),
            "n": str(row["samples"]),
            "Metric": row["metric"].upper(),
            "A": format_number(row["a"]),
            "B": format_number(row["b"]),
            "B − A": format_change(row),
            "p": format_p(row["p"], DRAWS).removeprefix("= "),
        }
        for _, row in table.iterrows()
    ]
    caption = (
        f"A: {a.name}. B: {b.name}. {describe_results([a, b])} [{describe_interval(paired=True)}]; "
        f"p: paired permutation of subjects, {DRAWS:,} draws, "
        "two-sided, not corrected for the number of rows."
    )
    return Table("B against A", caption, pd.DataFrame(rows))


def quote_comparison(table: pd.DataFrame, a: Result, b: Result) -> str:
    """Write one sentence that summarises the comparison."""
    protocol = a.protocol
    full = table[table["subset"] == "Full"]
    scores = " and ".join(
        f"{row['metric'].upper()} {format_number(row['b'])} against {format_number(row['a'])} "
        f"(difference {format_change(row)}, p {format_p(row['p'], DRAWS)})"
        for _, row in full.iterrows()
    )
    guilty = [result.name for result in (a, b) if result.transductive]
    warning = f"; transductive pretraining: {' and '.join(guilty)}" if guilty else ""
    remarks = describe_remarks([a, b])
    warning += f"; {remarks}" if remarks else ""
    return (
        f"On {protocol.name} ({protocol.samples} samples, {protocol.subjects} subjects, "
        f"{protocol.split}, all folds pooled), {b.name} (seeds {format_list(b.seeds)}) beside "
        f"{a.name} (seeds {format_list(a.seeds)}) has {scores}; 95 % paired subject-bootstrap "
        f"intervals, paired subject-permutation tests, {DRAWS:,} draws each{warning}."
    )


def lay_out_many(comparison: Comparison) -> list[Table]:
    """Lay out all tables: sides, pairs, data sets, classes."""
    return [
        lay_out_sides(comparison),
        lay_out_pairs(comparison),
        *lay_out_subsets(comparison),
        *lay_out_class_pairs(comparison),
    ]


def lay_out_sides(comparison: Comparison) -> Table:
    """Lay out every side with its letter and its scores."""
    sides, letters = comparison.sides, comparison.letters
    rows = []
    for side in sides:
        scores = side.score()
        cells = {"Side": letters[side.name], "Method": side.name, "Seeds": format_list(side.seeds)}
        for metric in side.target.metrics:
            score = scores[metric]
            cells[metric.upper()] = format_interval(score.value, score.low, score.high)
        rows.append(cells)
    caption = (
        f"{describe_results(sides)} Mean over seeds of all folds pooled [{describe_interval()}]."
    )
    return Table("Sides", caption, pd.DataFrame(rows))


def lay_out_pairs(comparison: Comparison) -> Table:
    """Lay out the differences of all pairs on all samples, with p and Holm-adjusted p."""
    sides, letters, pairs = comparison.sides, comparison.letters, comparison.pairs
    full = pairs[pairs["subset"] == "Full"]
    rows = []
    for (a, b), group in full.groupby(["result_a", "result_b"], sort=False):
        cells = {"Pair": f"{letters[b]} − {letters[a]}"}
        for _, row in group.iterrows():
            metric = row["metric"].upper()
            cells[f"{metric} difference"] = format_change(row)
            cells[f"p {metric}"] = format_p(row["p"], DRAWS).removeprefix("= ")
            cells[f"Holm {metric}"] = format_holm(row).removeprefix("= ")
        rows.append(cells)
    caption = (
        f"{describe_results(sides)} {_INTERVAL}; p: paired permutation of subjects, {DRAWS:,} draws, "
        f"two-sided; Holm: the same, corrected over {len(rows)} pairs, of each metric by itself."
    )
    return Table("Pairs", caption, pd.DataFrame(rows))


def lay_out_subsets(comparison: Comparison) -> Iterator[Table]:
    """Lay out differences by data set in the main metric; empty if there is only one."""
    pairs, metric = comparison.pairs, comparison.metric
    rows = pairs[(pairs["subset"] != "Full") & (pairs["metric"] == metric)]
    columns = {
        str(subset): f"{name_subset(str(subset))} (n = {group['samples'].iloc[0]})"
        for subset, group in rows.groupby("subset", sort=False)
    }
    caption = (
        f"{describe_results(comparison.sides)} {metric.upper()} of subsets of the same predictions "
        f"{_INTERVAL}."
    )
    yield from _spread(rows, "subset", columns, comparison.letters, "Pairs by data set", caption)


def lay_out_class_pairs(comparison: Comparison) -> Iterator[Table]:
    """Lay out differences in the F1 of each class or action unit, on all samples."""
    kind = comparison.sides[0].target.class_name
    rows = comparison.classes[comparison.classes["subset"] == "Full"]
    columns = {
        str(name): f"{name} (n = {group['samples'].iloc[0]})"
        for name, group in rows.groupby("class", sort=False)
    }
    caption = f"{describe_results(comparison.sides)} F1 of each {kind} {_INTERVAL}."
    yield from _spread(rows, "class", columns, comparison.letters, f"Pairs by {kind}", caption)


def _spread(
    rows: pd.DataFrame,
    by: str,
    columns: Mapping[str, str],
    letters: Mapping[str, str],
    title: str,
    caption: str,
) -> Iterator[Table]:
    """Return tables with one row per pair and one column per value of `by`, a few columns per table."""
    names = list(columns)
    for first in range(0, len(names), _WIDE):
        window = names[first : first + _WIDE]
        table = []
        for (a, b), group in rows.groupby(["result_a", "result_b"], sort=False):
            changes = {str(row[by]): format_change(row) for _, row in group.iterrows()}
            cells = {columns[name]: changes[name] for name in window}
            table.append({"Pair": f"{letters[str(b)]} − {letters[str(a)]}"} | cells)
        part = f", {window[0]} to {window[-1]}" if len(names) > _WIDE else ""
        yield Table(f"{title}{part}", caption, pd.DataFrame(table))


def format_holm(row: pd.Series) -> str:
    """Format a p-value adjusted by Holm's method; `≤` if the p-value itself is only an upper bound."""
    smallest = row["p"] <= 1 / (1 + DRAWS)
    return f"{'≤' if smallest else '='} {format_number(row['p_holm'])}"


def explain_disagreement(comparison: Comparison) -> str:
    """Describe pairs whose interval and p-value disagree, and which of them decides; "" if there are none."""
    letters, unlike = comparison.letters, []
    for _, row in comparison.pairs[comparison.pairs["subset"] == "Full"].iterrows():
        excludes = row["low"] > 0 or row["high"] < 0
        if not math.isnan(row["low"]) and excludes != (row["p_holm"] <= ALPHA):
            pair = f"{letters[row['result_b']]} − {letters[row['result_a']]}"
            unlike.append(f"{row['metric'].upper()} of {pair}")
    if not unlike:
        return ""
    return (
        f"Interval and p disagree in {', '.join(unlike)}: the Holm-corrected p decides, at alpha "
        f"{format_number(ALPHA, 2)}; the interval is approximate."
    )


def describe_unlike_settings(sides: Sequence[Result]) -> str:
    """List the settings in which sides differ; those of unlike backbones are not listed."""
    settings = [flatten(shared_settings(side.runs[0].config)) for side in sides]
    parts = set.intersection(*({key.partition(".")[0] for key in one} for one in settings))
    if len({one.get("backbone._target_") for one in settings}) > 1:
        parts.discard("backbone")
    texts = []
    for key in dict.fromkeys(key for one in settings for key in one):
        values = ["null" if one.get(key) is None else str(one[key]) for one in settings]
        if key.partition(".")[0] in parts and key[-9:] != "_partial_" and len({*values}) > 1:
            texts.append(f"{key} {' / '.join(values)}")
    letters = " / ".join(ascii_uppercase[: len(sides)])
    return f"Settings that differ ({letters}): {'; '.join(texts)}." if texts else ""


def quote_pairs(comparison: Comparison) -> str:
    """Write one sentence that compares all sides with the best side or the reference."""
    sides, reference = comparison.sides, comparison.reference
    protocol, full, metric = sides[0].protocol, comparison.full, comparison.metric.upper()
    value = {side.name: comparison.score(side).value for side in sides}
    first = reference or max(value, key=lambda name: value[name])
    seeds = {side.name: format_list(side.seeds) for side in sides}
    apart: list[str] = []
    alike: list[str] = []
    for _, row in full.iterrows():
        if first not in (row["result_a"], row["result_b"]):
            continue
        other = row["result_b"] if row["result_a"] == first else row["result_a"]
        # A reference is taken from the others, and the others are taken from the best.
        change = row if (row["result_b"] == first) != bool(reference) else _turn_round(row)
        words = f"{format_change(change)}, p {format_holm(row)}"
        sentences = apart if row["p_holm"] <= ALPHA else alike
        sentences.append(
            f"{other} (seeds {seeds[other]}; {metric} {format_number(value[other])}, {words})"
        )
    parts = [f"told apart from it: {'; '.join(apart)}"] if apart else []
    parts += [f"not told apart from it: {'; '.join(alike)}"] if alike else []
    guilty = [side.name for side in sides if side.transductive]
    notes = [f"transductive pretraining: {' and '.join(guilty)}"] if guilty else []
    notes += [remarks] if (remarks := describe_remarks(sides)) else []
    return (
        f"On {protocol.name} ({protocol.samples} samples, {protocol.subjects} subjects, "
        f"{protocol.split}, all folds pooled), of {len(sides)} configurations {first} (seeds {seeds[first]}) "
        f"{'is the reference' if reference else f'has the highest {metric}'}, "
        f"{format_number(value[first])}; "
        f"{'; '.join(parts)}; {'the other less it' if reference else 'it less the other'} with 95 % "
        f"paired subject-bootstrap intervals, paired subject-permutation tests, {DRAWS:,} draws each, "
        f"Holm-corrected over {len(full)} pairs, alpha {format_number(ALPHA, 2)}"
        f"{''.join(f'; {note}' for note in notes)}."
    )


def _turn_round(row: pd.Series) -> pd.Series:
    """Return the difference A - B instead of B - A."""
    turned = {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
    return pd.Series({**row, **turned})
