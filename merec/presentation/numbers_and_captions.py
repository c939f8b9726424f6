"""Formats of numbers, names and captions in all outputs."""

import math
import re
from collections.abc import Sequence

import pandas as pd

from merec.evaluation.results import Result
from merec.evaluation.subject_bootstrap import DRAWS
from merec.run_folder.resolved_config import find_node
from merec.targets.absent_classes import describe_absent_classes

NOTHING = "–"
_DATA_SETS = {"casme2": "CASME II", "casme3": "CAS(ME)³", "samm": "SAMM", "smic": "SMIC"}


def order_naturally(*names: object) -> list[list[int | str]]:
    """Return a sort key for names: `first` comes first, and numbers are compared by value."""
    return [
        [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(name))]
        for name in names
    ]


def format_number(value: float, digits: int = 4) -> str:
    """Format a score as `.7412`; a dash if there is none."""
    if math.isnan(value):
        return NOTHING
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) != 0 else ""
    return sign + (text[1:] if text.startswith("0.") else text)


def format_pair(uf1: float, uar: float) -> str:
    """Format UF1/UAR as `.7412/.7305`; a dash if there are none."""
    return NOTHING if math.isnan(uf1) else f"{format_number(uf1)}/{format_number(uar)}"


def describe_interval(draws: int = DRAWS, paired: bool = False) -> str:
    """Describe the kind of the intervals in brackets."""
    return (
        f"95 % t interval, standard error by {draws:,} {'paired ' if paired else ''}draws of whole subjects "
        "(Hesterberg 2015), degrees of freedom: Kish's effective number of subjects − 1; [–]: none for fewer "
        "than three subjects"
    )


def format_interval(value: float, low: float, high: float) -> str:
    """Format a score with its interval: `.7412 [.690, .788]`; `.7412 [–]` without interval."""
    if math.isnan(low):
        return f"{format_number(value)} [{NOTHING}]"
    return f"{format_number(value)} [{format_number(low, 3)}, {format_number(high, 3)}]"


def spell_uf1(row: pd.Series) -> str:
    """Format the UF1 of a row with its interval in words: `.7412 from .6901 to .7880`."""
    score, low, high = (format_number(row[name]) for name in ("uf1", "uf1_low", "uf1_high"))
    return f"{score} from {low} to {high}"


def format_difference(value: float, digits: int = 4) -> str:
    """Format a difference with its sign: `+.0487`."""
    text = format_number(value, digits)
    return text if text.startswith(("−", NOTHING)) or float(text) == 0 else f"+{text}"


def format_change(row: pd.Series) -> str:
    """Format the `difference` of a row of `compare_results` with its interval; `[–]` without interval."""
    if math.isnan(row["low"]) and not math.isnan(row["difference"]):
        return f"{format_difference(row['difference'])} [{NOTHING}]"
    low, high = format_difference(row["low"], 3), format_difference(row["high"], 3)
    return f"{format_difference(row['difference'])} [{low}, {high}]"


def format_p(p: float, draws: int) -> str:
    """Format a permutation p-value; the smallest possible value is written as a bound."""
    smallest = 1 / (1 + draws)
    return f"≤ {smallest:.4f}".replace(" 0.", " .") if p <= smallest else f"= {format_number(p)}"


def hide_folders(command: str) -> str:
    """Return a command without folders of this machine, since pages are shared."""
    return re.sub(r"\b([\w.]*(?:root|weights|dir))=(?:'[^']*'|\S+)", r"\1=…", command)


def format_list(items: Sequence[object]) -> str:
    """Format a list: `0, 1, 2`."""
    return ", ".join(map(str, items))


_NUMBER = re.compile(r"(?:[≤≥=] )?([+−-]?(?:\d+\.?\d*|\.\d+))(?=$|[ /%,])")
_TIME = re.compile(r"(?:(\d+) h )?(\d+) (s|min)")


def measure_cell(cell: str) -> float | None:
    """Return the sort key of a cell: .7412 for `.7412 [.690, .788]`, seconds of a time; `None` for text."""
    if time := _TIME.fullmatch(cell):
        hours, rest, unit = time.groups()
        return 3600.0 * int(hours or 0) + int(rest) * (60.0 if unit == "min" else 1.0)
    number = _NUMBER.match(cell)
    return float(number[1].replace("−", "-")) if number else None


def name_subset(subset: str) -> str:
    """Return the name of a data set as used in papers."""
    return _DATA_SETS.get(subset, subset)


def make_slugs(names: Sequence[str]) -> list[str]:
    """Return unique file names for unique names: lower case, digits and hyphens."""
    slugs: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "run"
        slug, number = plain, 2
        while slug in slugs:
            slug, number = f"{plain}-{number}", number + 1
        slugs.append(slug)
    return slugs


def describe_remarks(results: Sequence[Result]) -> str:
    """Return the remarks of results, with names if they differ; empty if there are none."""
    by_remark: dict[str | None, list[str]] = {}
    for result in results:
        by_remark.setdefault(result.remark, []).append(result.name)
    if len(by_remark) == 1:
        return next(iter(by_remark)) or ""
    return "; ".join(
        f"{remark} for {format_list(who)}" for remark, who in by_remark.items() if remark
    )


def describe_tried(results: Sequence[Result]) -> str:
    """Describe the number of configurations among which the folds of each result chose, if recorded."""
    tried = {
        result.name: max((run.environment.get("tried") or 0 for run in result.runs), default=0)
        for result in results
    }
    counts = [f"{number} by {name}" for name, number in tried.items() if number]
    rest = "" if len(counts) == len(tried) else f"{', others ' if counts else ''}none recorded"
    return f"Configurations tried inside each fold: {', '.join(counts)}{rest}."


def describe_results(results: Sequence[Result]) -> str:
    """Describe the basis of a table: protocol, seeds, transductive pretraining and remarks."""
    protocol = results[0].protocol
    by_seeds: dict[str, list[str]] = {}
    for result in results:
        by_seeds.setdefault(format_list(result.seeds), []).append(result.name)
    if len(by_seeds) == 1:
        seeds = f"seeds {next(iter(by_seeds))}"
    else:
        seeds = "seeds " + "; ".join(
            f"{text} of {', '.join(who)}" for text, who in by_seeds.items()
        )
    guilty = [result.name for result in results if result.transductive]
    pretraining = f"YES for {', '.join(guilty)}" if guilty else "no"
    remarks = describe_remarks(results)
    classes = f"{len(protocol.classes)} {results[0].target.class_names}"
    return (
        f"Protocol {protocol.name} ({protocol.hash}; {protocol.samples} samples, "
        f"{protocol.subjects} subjects, {classes}), {protocol.split}; {seeds}; "
        f"transductive pretraining: {pretraining}."
        + f" {describe_tried(results)}"
        + (f" Remark: {remarks}." if remarks else "")
        + _describe_training_subjects(results)
        + _describe_without_motion(results)
        + _describe_absent(results[0])
    )


def _describe_training_subjects(results: Sequence[Result]) -> str:
    """Describe the number of training subjects per fold if limited; with a leading blank."""
    numbers = {
        result.name: find_node(result.runs[0].config, "task.train_subjects") or None
        for result in results
    }
    few = [f"{number} in {name}" for name, number in numbers.items() if number]
    if not few:
        return ""
    if len({*numbers.values()}) == 1:
        few = [str(next(iter(numbers.values())))]
    return f" Training subjects of each fold: {', '.join(few)}."


def _describe_without_motion(results: Sequence[Result]) -> str:
    """Describe the number of samples without motion, which were not trained on; with a leading blank."""
    counts = {result.without_motion for result in results}
    if counts == {0}:
        return ""
    number = next(iter(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return f" {number} samples without motion (onset is apex) are predicted, but not trained on."


def _describe_absent(result: Result) -> str:
    """Describe classes without samples, in all data or in a data set; with a leading blank."""
    sentences = []
    for subset in result.subsets:
        absent = result.find_absent_classes(subset)
        line = describe_absent_classes(absent, result.protocol.classes)
        if line:
            where = "Of all samples" if subset == "Full" else f"Of {name_subset(subset)}"
            sentences.append(f" {where}, {line}; Present classes: the mean over the others.")
    return "".join(sentences)
