"""Everything a report says, computed once, as raw numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merec.evaluation.ablation import ablate_classes, compare_modalities
from merec.evaluation.calibration import score_calibration
from merec.evaluation.guessing import score_guesses
from merec.evaluation.jitter import read_jitters
from merec.evaluation.pretraining import compare_starts
from merec.evaluation.results import IDENTITY, Result, assert_emotions
from merec.evaluation.threshold import read_thresholds

READINGS = ("honest", "best_common_epoch", "best_epoch", "random_guess")


@dataclass(frozen=True)
class Summary:
    """Everything a report says, computed once.

    Attributes:
        results: The results, in the order of the report.
        scores: See `score_results`.
        classes: See `score_classes`.
        subjects: See `score_subjects`.
        optimism: See `read_optimism`.
        pretraining: See `compare_starts`.
        thresholds: See `read_thresholds`.
        modalities: See `compare_modalities`.
        ablation: See `ablate_classes`.
        calibration: See `score_calibration`.
        jitters: See `read_jitters`.
        guesses: See `score_all_guesses`.
        notes: What the terminal was warned of while the results were read, such as runs passed over.
    """

    results: list[Result]
    scores: pd.DataFrame
    classes: pd.DataFrame
    subjects: pd.DataFrame
    optimism: pd.DataFrame
    pretraining: pd.DataFrame
    thresholds: pd.DataFrame
    modalities: pd.DataFrame
    ablation: pd.DataFrame
    calibration: pd.DataFrame
    jitters: pd.DataFrame
    guesses: pd.DataFrame
    notes: tuple[str, ...] = ()


def summarize(results: Sequence[Result]) -> Summary:
    """Compute all tables of some results of one protocol.

    Raises:
        InputError: If they tell action units.
    """
    assert_emotions(results)
    optimism = read_optimism(results)
    return Summary(
        list(results),
        score_results(results, optimism),
        score_classes(results),
        score_subjects(results),
        optimism,
        compare_starts(results),
        read_thresholds(results),
        compare_modalities(results),
        ablate_classes(results),
        score_calibration(results),
        read_jitters(results),
        score_all_guesses(results[0]),
    )


def read_optimism(results: Sequence[Result]) -> pd.DataFrame:
    """Read the optimism meter of every result whose epochs were all recorded.

    Returns:
        One row per result and seed: `epochs`, and UF1 and UAR of each of `READINGS`, such as
        `honest_uf1`; of action units their mean F1, `honest_f1`.
    """
    rows, metrics = [], results[0].target.metrics_of_decisions
    for result in results:
        readings = result.read_optimism()
        if len(readings) != len(result.seeds):
            continue  # a claim over fewer seeds than the honest number must not stand beside it
        for seed, reading in zip(result.seeds, readings, strict=True):
            scores = {
                f"{name}_{metric}": value
                for name in READINGS
                for metric, value in zip(metrics, getattr(reading, name), strict=True)
            }
            rows.append(result.identity | {"seed": seed, "epochs": reading.epochs} | scores)
    columns = [f"{name}_{metric}" for name in READINGS for metric in metrics]
    return pd.DataFrame(rows, columns=[*IDENTITY, "seed", "epochs", *columns])


def score_results(results: Sequence[Result], optimism: pd.DataFrame) -> pd.DataFrame:
    """Score every result, Full and by data set: subsets of the same predictions.

    Args:
        results: The results.
        optimism: See `read_optimism`.

    Returns:
        One row per result and subset: each of `METRICS` with the ends of its interval (`uf1`,
        `uf1_low`, `uf1_high`, …), its values of each seed (`uf1_seeds`) with least, largest and standard
        deviation (`uf1_min`, `uf1_max`, `uf1_sd`; NaN of one seed), on Full what best-epoch-on-test would
        have claimed (`claimed_uf1`, …), the classes without samples (`absent`), and the scores as means over
        the other classes alone (`present_uf1`, …).
    """
    claims = (
        optimism.groupby("result")[["best_epoch_uf1", "best_epoch_uar"]].mean().to_dict("index")
    )
    rows = []
    for result in results:
        for subset, predictions in result.subsets.items():
            row = result.identity | {
                "subset": subset,
                "samples": predictions["sample_id"].nunique(),
                "subjects": predictions["subject"].nunique(),
                "seeds": " ".join(map(str, result.seeds)),
                "transductive": result.transductive,
            }
            for metric, score in result.score(subset).items():
                row |= {
                    metric: score.value,
                    f"{metric}_low": score.low,
                    f"{metric}_high": score.high,
                }
            for metric, values in result.score_seeds(subset).items():
                spread = np.std(values, ddof=1) if len(values) > 1 else np.nan
                row |= {
                    f"{metric}_seeds": " ".join(map(repr, values)),
                    f"{metric}_min": min(values),
                    f"{metric}_max": max(values),
                    f"{metric}_sd": spread,
                }
            absent = result.find_absent_classes(subset)
            classes = len(result.protocol.classes)
            # F1 and recall of a class without samples are 0, whatever is predicted.
            larger = classes / max(1, classes - len(absent))
            row["absent"] = ", ".join(absent)
            for metric in ("uf1", "uar"):
                row[f"present_{metric}"] = larger * result.score(subset)[metric].value
            known = subset == "Full" and result.name in claims
            claimed = claims[result.name] if known else {}
            row |= {f"claimed_{m}": claimed.get(f"best_epoch_{m}", np.nan) for m in ("uf1", "uar")}
            rows.append(row)
    return pd.DataFrame(rows)


def score_all_guesses(result: Result) -> pd.DataFrame:
    """Score guesses that look at no face on the samples of a protocol, Full and by data set.

    Returns:
        One row per `guess` (see `score_guesses`) and `subset`: each of `METRICS`.
    """
    classes = len(result.protocol.classes)
    labels = {
        subset: rows.drop_duplicates("sample_id")["label"].to_numpy()
        for subset, rows in result.subsets.items()
    }
    frequency = np.bincount(labels["Full"], minlength=classes) / len(labels["Full"])
    known = {"protocol": result.protocol.name, "protocol_hash": result.protocol.hash}
    rows = [
        known | {"guess": guess, "subset": subset, "samples": len(label)} | scores
        for subset, label in labels.items()
        for guess, scores in score_guesses(label, frequency).items()
    ]
    return pd.DataFrame(rows).sort_values("guess", kind="stable", ignore_index=True)


def score_classes(results: Sequence[Result]) -> pd.DataFrame:
    """F1 and recall of each class, averaged over seeds, one row per result, subset and class."""
    rows = []
    for result in results:
        for subset in result.subsets:
            for name, scores in result.score_classes(subset).items():
                rows.append(result.identity | {"subset": subset, "class": name} | scores)
    return pd.DataFrame(rows)


def score_subjects(results: Sequence[Result]) -> pd.DataFrame:
    """Samples named rightly, one row per result, seed and subject.

    A subject has too few samples, and seldom all classes, for a UF1 of its own.
    """
    rows = []
    for result in results:
        table = result.predictions
        table = table.assign(correct=(table["label"] == table["predicted"]).astype(int))
        by = table.groupby(["seed", "corpus", "subject", "fold"], as_index=False)
        counted = by.agg(samples=("correct", "size"), correct=("correct", "sum"))
        for place, (name, value) in enumerate(result.identity.items()):
            counted.insert(place, name, value)
        rows.append(counted.assign(accuracy=counted["correct"] / counted["samples"]))
    return pd.concat(rows, ignore_index=True)


def pool_predictions(results: Sequence[Result]) -> pd.DataFrame:
    """All predictions, one row per result, seed and sample."""
    tables = [result.predictions.copy() for result in results]
    for result, table in zip(results, tables, strict=True):
        table.insert(0, "result", result.name)
    return pd.concat(tables, ignore_index=True)
