"""Methods without a significant difference, in the manner of a critical-difference diagram."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merec.evaluation.results import Result
from merec.evaluation.subject_bootstrap import DRAWS
from merec.presentation.figure_style import COLOURS, GREY, MEDIUM, SMALL, measure_row, tidy, wrap
from merec.presentation.numbers_and_captions import (
    describe_interval,
    format_interval,
    format_list,
    format_number,
)
from merec.studies.paired_comparison import ALPHA, Comparison


def find_groups(comparison: Comparison) -> list[list[str]]:
    """Find the largest sets of sides in which no two differ significantly on all samples, the best first.

    With a reference there is only one set: the reference and all sides that do not differ significantly from
    it, whether or not they differ from each other.

    Returns:
        Sets of two or more names, each sorted from the highest score to the lowest; a side may be in several
        sets.
    """
    import networkx

    alike = comparison.full[comparison.full["p_holm"] > ALPHA]
    graph = networkx.Graph(list(zip(alike["result_a"], alike["result_b"], strict=True)))
    cliques = [set(graph)] if comparison.reference else networkx.find_cliques(graph)
    names = [side.name for side in rank_sides(comparison)]
    groups = [[name for name in names if name in group] for group in cliques if len(group) > 1]
    return sorted(groups, key=lambda group: [names.index(name) for name in group])


def rank_sides(comparison: Comparison) -> list[Result]:
    """Sort the sides from the highest score to the lowest."""
    return sorted(comparison.sides, key=lambda side: -comparison.score(side).value)


def draw_groups(comparison: Comparison) -> Figure:
    """Draw the scores of all sides with intervals, and on the right a bar for each set of `find_groups`."""
    sides, letters, groups = (
        rank_sides(comparison),
        comparison.letters,
        find_groups(comparison),
    )
    names = [wrap(f"{letters[side.name]}: {side.name}", 42) for side in sides]
    tall, wide = measure_row(names, 0.36) * len(sides) + 0.9, 0.28 * max(len(groups), 1)
    figure = Figure(figsize=(9.5 + wide, tall), layout="constrained")
    axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=(5, wide))
    for place, side in enumerate(sides):
        score = comparison.score(side)
        axes.plot([score.low, score.high], [place] * 2, color=GREY, linewidth=1.4)
        axes.plot(score.value, place, "o", color=COLOURS[0], ms=6)
        text = format_interval(score.value, score.low, score.high)
        end = score.value if math.isnan(score.high) else score.high
        axes.text(end, place, f"  {text}", va="center", fontsize=SMALL)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.45 * (high - low))  # room for the numbers
    tidy(axes, "x")
    axes.set_yticks(range(len(sides)), names, fontsize=SMALL)
    axes.set_ylim(len(sides) - 0.4, -0.6)
    axes.set_xlabel(comparison.metric.upper(), fontsize=MEDIUM)
    _draw_bars(beside, [side.name for side in sides], groups)
    return figure


def _draw_bars(axes: Axes, names: Sequence[str], groups: Sequence[Sequence[str]]) -> None:
    """Draw a bar for each group, with a dot at each member."""
    for number, group in enumerate(groups):
        rows = [names.index(name) for name in group]
        axes.plot([number] * 2, [min(rows), max(rows)], color=COLOURS[5], linewidth=2.5)
        axes.plot([number] * len(rows), rows, "o", color=COLOURS[5], ms=6)
    axes.set_xlim(-0.6, max(len(groups), 1) - 0.4)
    axes.set_title("not told\napart", fontsize=SMALL)
    axes.set_axis_off()


def describe_groups(comparison: Comparison) -> str:
    """Return the alt text of the figure: the groups of methods that do not differ significantly."""
    letters = comparison.letters
    scores = [
        f"{letters[side.name]} {format_number(comparison.score(side).value)}"
        for side in rank_sides(comparison)
    ]
    groups = [" and ".join(letters[name] for name in group) for group in find_groups(comparison)]
    metric = comparison.metric.upper()
    return f"{metric} of {format_list(scores)}; not told apart: {'; '.join(groups) or 'none'}."


def explain_groups(comparison: Comparison) -> str:
    """Explain the picture and its limits."""
    pairs, reference = len(comparison.full), comparison.reference
    joined = (
        f"{comparison.letters[reference]} and what is not told apart from it"
        if reference
        else "sides of which no two are told apart"
    )
    return (
        f"Points: {comparison.metric.upper()} of all samples, mean over seeds, each with its interval "
        f"({describe_interval()}). A bar joins, by its dots, {joined}: p > "
        f"{format_number(ALPHA, 2)} in the paired permutation of subjects ({DRAWS:,} draws, two-sided), "
        f"Holm-corrected over {pairs} "
        f"{'pair' if pairs == 1 else 'pairs'}. Not Nemenyi's critical difference of ranks: a subject has "
        "too few samples to rank sides by. Not told apart does not mean equal."
    )
