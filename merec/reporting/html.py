"""One self-contained HTML page: what was run, what it scored, and how far one may believe it."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from merec.evaluation.explanation import read_explanation
from merec.evaluation.results import Result
from merec.presentation.notation import (
    NOTHING,
    describe_remarks,
    describe_results,
    format_list,
    format_number,
    hide_folders,
    name_subset,
)
from merec.presentation.table import Table
from merec.reporting import calibration, figures
from merec.reporting.ablation import lay_out_ablation, lay_out_modalities
from merec.reporting.curves import read_curves
from merec.reporting.elements import write_document, write_figure, write_list, write_table
from merec.reporting.forest import write_beside_controls
from merec.reporting.jitter import draw_jitters, lay_out_jitter
from merec.reporting.leaderboard import lay_out_leaderboard
from merec.reporting.pretraining import lay_out_pretraining, quote_pretraining
from merec.reporting.published import SOURCES
from merec.reporting.regions import draw_adjacency, draw_importance, lay_out_agreement
from merec.reporting.samples import Sheets, name_anchors, write_samples
from merec.reporting.setting_curves import Shown
from merec.reporting.summary import Summary
from merec.reporting.tables import (
    lay_out_classes,
    lay_out_optimism,
    lay_out_published,
    lay_out_scores,
    lay_out_seeds,
    lay_out_subjects,
)
from merec.reporting.threshold import draw_pools, draw_studies, lay_out_thresholds
from merec.run_folder.environment import list_sessions


def write_page(
    summary: Summary,
    published: bool,
    sheets: Sheets = Sheets(),  # noqa: B008 (frozen)
    studies: Sequence[Shown] = (),
) -> str:
    """Render a report.

    Args:
        summary: What to show.
        published: Whether published numbers stand beside ours, where there are any.
        sheets: What samples are linked with.
        studies: Studies of one setting, see `show_studies`.

    Returns:
        A page that needs no network: style, pictures and script are inside.
    """
    shown = lay_out_published(summary) if published else None
    ranking = lay_out_leaderboard(summary) if published else None
    by_seed = lay_out_seeds(summary.results)
    sections = {
        "Networks and controls": write_beside_controls(summary.results, summary.guesses),
        "Notes": write_list(summary.notes),
        "Leaderboard": write_table(ranking) if ranking else "",
        "Scores": write_table(lay_out_scores(summary)),
        "Seeds": write_table(by_seed) if by_seed else "",
        "Honest and best epoch on test": _write_optimism(summary),
        "What pretraining brings": _write_pretraining(summary),
        "Threshold of intensity": _write_thresholds(summary),
        "Modalities": _write_modalities(summary),
        "Key frames off the annotated ones": _write_jitter(summary),
        **{one.study.title: one.html for one in studies},
        "Data sets": _write_bars(summary),
        "Confusion matrices": "".join(map(_write_confusion, summary.results)),
        "Classes": write_table(lay_out_classes(summary)) + write_table(lay_out_ablation(summary)),
        "Calibration": _write_calibration(summary),
        "Subjects": _write_subjects(summary),
        "Samples": write_samples(summary.results, sheets),
        "Learning curves": write_curves(summary.results),
        "Regions": _write_regions(summary.results),
        "Published numbers": _write_published(shown, summary.results) if shown else "",
        "What was run": write_runs(summary.results),
    }
    return write_document(
        f"{summary.results[0].protocol.name}, {summary.results[0].protocol.split}",
        describe_remarks(summary.results),
        describe_results(summary.results),
        sections,
    )


def write_runs(results: Sequence[Result]) -> str:
    """Protocol; seeds, folders, time and code of every result; commands and versions."""
    protocol = results[0].protocol
    facts = {
        "Protocol": f"{protocol.name}, hash {protocol.hash}",
        "Samples": f"{protocol.samples} of {protocol.subjects} subjects, held out once per seed",
        "Classes": format_list(protocol.classes),
    }
    terms = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    rows = []
    commands: dict[str, None] = {}  # in order, each once
    versions: dict[str, None] = {}
    for result in results:
        known = [run.environment for run in result.runs]
        seconds = [float(e["seconds"]) for e in known if e.get("seconds") is not None]
        sessions = [s for e in known for s in list_sessions(e)]
        commits = dict.fromkeys(str(s["commit"]) for s in sessions if s.get("commit"))
        rows.append(
            {
                "Method": result.name,
                "Seeds": format_list(result.seeds),
                "Transductive": "YES" if result.transductive else "no",
                "Run folders": format_list([run.folder for run in result.runs]),
                "Time": _format_seconds(sum(seconds)) if seconds else NOTHING,
                "Commit": format_list(list(commits)) or NOTHING,
                "Configuration": str(known[0]["configuration"])[:12],
            }
        )
        commands |= dict.fromkeys(
            hide_folders(str(e["command"])) for e in known if e.get("command")
        )
        for environment in known:
            pairs = [
                f"{name} {version}" for name, version in environment.get("versions", {}).items()
            ]
            versions |= {format_list(pairs): None} if pairs else {}
    table = write_table(Table("What was run", describe_results(results), pd.DataFrame(rows)))
    parts = [f"<dl>{terms}</dl>", table]
    if commands:
        parts.append(f"<p>Commands:</p><pre>{escape(chr(10).join(commands))}</pre>")
    if versions:
        parts.append(f"<p>Versions:</p><pre>{escape(chr(10).join(versions))}</pre>")
    return "\n".join(parts)


def _format_seconds(seconds: float) -> str:
    """Seconds as `1 h 23 min`, `4 min` or `12 s`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _write_optimism(summary: Summary) -> str:
    """Two sentences, a picture and a table; nothing where no epochs were recorded."""
    if summary.optimism.empty:
        return ""
    unit = summary.results[0].protocol.unit
    text = (
        f"<p>Our numbers are those of the last epoch, which the held-out {unit} had no part in "
        f"choosing. Much released code instead keeps the epoch that is best on the held-out {unit} "
        "itself; what that would have claimed here, and what random guessing reaches by the same "
        "choice, is measured and never used.</p>"
    )
    mean = summary.optimism.groupby("result", sort=False).mean(numeric_only=True)
    alt = "UF1 honest and with the best epoch on test: " + "; ".join(
        f"{name} {format_number(row['honest_uf1'])} and {format_number(row['best_epoch_uf1'])}"
        for name, row in mean.iterrows()
    )
    picture = write_figure(
        figures.draw_optimism(summary.optimism), alt, "Mean over seeds.", "optimism"
    )
    return text + picture + write_table(lay_out_optimism(summary.results, summary.optimism))


def _write_pretraining(summary: Summary) -> str:
    """The table, and sentences to quote; nothing where there is nothing to compare."""
    return write_pretraining(summary.results, summary.pretraining)


def write_pretraining(results: Sequence[Result], starts: pd.DataFrame) -> str:
    """Write the table of starts and sentences to quote as HTML; "" where there is nothing to compare.

    Args:
        results: The results of the page.
        starts: See `compare_starts`.
    """
    table = lay_out_pretraining(results, starts)
    if table is None:
        return ""
    quotes = "".join(f"<li>{escape(text)}</li>" for text in quote_pretraining(results, starts))
    return f"{write_table(table)}<p>To quote:</p><ul>{quotes}</ul>"


def _write_thresholds(summary: Summary) -> str:
    """Score against threshold, what it kept of each pool, and a table; nothing without pairs."""
    table = lay_out_thresholds(summary)
    if table is None:
        return ""
    drawn = [*draw_studies(summary), *draw_pools(summary)]
    pictures = [write_figure(*each, f"threshold-{number}") for number, each in enumerate(drawn)]
    return "".join([*pictures, write_table(table)])


def _write_modalities(summary: Summary) -> str:
    table = lay_out_modalities(summary)
    return "" if table is None else write_table(table)


def _write_calibration(summary: Summary) -> str:
    alt = calibration.describe_reliability(summary.results)
    figure = calibration.draw_reliability(summary)
    picture = write_figure(figure, alt, calibration.CAPTION, "reliability")
    return picture + write_table(calibration.lay_out_calibration(summary))


def _write_jitter(summary: Summary) -> str:
    """Score against the shift of key frames, and a table; nothing where none are shifted."""
    table = lay_out_jitter(summary)
    if table is None:
        return ""
    drawn = enumerate(draw_jitters(summary))
    return "".join([*(write_figure(*each, f"jitter-{n}") for n, each in drawn), write_table(table)])


def _write_bars(summary: Summary) -> str:
    alt = "UF1 with 95 % interval: " + "; ".join(
        f"{row['result']} on {name_subset(row['subset'])} {format_number(row['uf1'])} from "
        f"{format_number(row['uf1_low'])} to {format_number(row['uf1_high'])}"
        for _, row in summary.scores.iterrows()
    )
    caption = (
        "UF1 and UAR, mean over seeds, with 95 % intervals of whole subjects drawn with "
        "replacement. Data sets are subsets of the same predictions."
    )
    return write_figure(figures.draw_bars(summary.scores), alt, caption, "bars")


def _write_confusion(result: Result) -> str:
    figure = figures.plot_confusion(result)
    pooled = result.confusions()[1].sum((0, 1))
    alt = f"Confusion matrix of {result.name}, rows true, columns predicted: " + "; ".join(
        f"{name} {format_list(row)}"
        for name, row in zip(result.protocol.classes, pooled.tolist(), strict=True)
    )
    caption = f"{result.name}: samples of all folds pooled, and percent of their true class."
    return write_figure(figure, alt, caption, f"confusion-{_key(result)}")


def _write_subjects(summary: Summary) -> str:
    """The heat map, and its numbers folded away."""
    subjects = summary.results[0].protocol.subjects
    by_result = summary.subjects.groupby(["result", "corpus", "subject"], sort=False)["accuracy"]
    spread = by_result.mean().groupby("result", sort=False).describe()
    alt = f"Heat map: accuracy of each of {subjects} subjects: " + "; ".join(
        f"{name} median {format_number(row['50%'], 3)}, from {format_number(row['min'], 3)} to "
        f"{format_number(row['max'], 3)}"
        for name, row in spread.iterrows()
    )
    caption = (
        "Percent of each held-out subject's samples named rightly, mean over seeds; in brackets "
        "the number of samples."
    )
    picture = write_figure(figures.draw_subjects(summary.subjects), alt, caption, "subjects")
    laid_out = lay_out_subjects(summary)
    anchors = {
        (name_subset(corpus), subject): anchor
        for (corpus, subject), anchor in name_anchors(summary.results).items()
    }
    links = {
        (number, "Subject"): f"#{anchors[cells[0], cells[1]]}"
        for number, cells in enumerate(laid_out.cells)
    }
    table = write_table(laid_out, links=links)
    return (
        f'{picture}<details class="print"><summary>The same as a table</summary>{table}</details>'
    )


def write_curves(results: Sequence[Result]) -> str:
    """Learning curves, result by result; nothing where no epochs were recorded."""
    parts = []
    for result in results:
        curves = read_curves(result)
        if curves is None:
            continue
        last = curves.iloc[-1]
        alt = (
            f"Learning curves of {result.name}: after {len(curves)} epochs the median training "
            f"loss is {last['train_loss_50']:.3g}, the median training accuracy "
            f"{format_number(last['train_accuracy_50'], 3)}, the held-out accuracy "
            f"{format_number(last['held_out_accuracy'], 3)}"
        )
        caption = f"{result.name}: all folds of seeds {format_list(result.seeds)}."
        figure = figures.draw_learning_curves(curves, result.name)
        parts.append(write_figure(figure, alt, caption, f"curves-{_key(result)}"))
    return "".join(parts)


def _write_regions(results: Sequence[Result]) -> str:
    """What networks of points looked at, result by result, beside the coded action units."""
    found = [(result, read_explanation(result)) for result in results]
    explained = [(result, explanation) for result, explanation in found if explanation]
    parts = []
    for result, explanation in explained:
        mean = explanation.average_importance()
        alt = f"Importance of each region to {result.name}, by predicted class: " + "; ".join(
            f"{name} most {row.idxmax()} {format_number(row.max(), 3)}"
            for name, row in mean.dropna().iterrows()
        )
        caption = (
            f"{result.name}: probability of the predicted class less that with the region at rest (its "
            "motion zero, its structure kept), mean over the held-out samples of each predicted class, all "
            "folds and seeds. Left is the image's left, the subject's right."
        )
        figure = draw_importance(explanation, result.name)
        parts.append(write_figure(figure, alt, caption, f"importance-{_key(result)}"))
        strength = explanation.average_adjacency()
        if strength is not None:
            region, source = strength.stack().idxmax()
            alt = (
                f"Learned adjacency of {result.name}, a heat map of {len(strength)} regions: most "
                f"{format_number(strength.to_numpy().max(), 3)}, {region} from {source}"
            )
            caption = (
                f"{result.name}: learned adjacency, mean |weight| of all layers, folds and seeds."
            )
            figure = draw_adjacency(strength, result.name)
            parts.append(write_figure(figure, alt, caption, f"adjacency-{_key(result)}"))
    table = lay_out_agreement(explained)
    return "".join([write_table(table) if table else "", *parts])


def _write_published(table: Table, results: Sequence[Result]) -> str:
    terms = "".join(
        f"<dt>{mark}</dt><dd>{escape(meaning)}</dd>" for mark, meaning in SOURCES.items()
    )
    return f"<dl>{terms}</dl>" + write_table(table, ours={result.name for result in results})


def _key(result: Result) -> str:
    """Tells the ids of this result's figures from those of others."""
    return str(result.runs[0].environment["configuration"])
