"""What a modality brings to a network that is otherwise equal, and what each class costs a result."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from merec.evaluation.comparison import compare_with_base
from merec.evaluation.pretraining import read_settings
from merec.evaluation.results import IDENTITY, Result
from merec.evaluation.statistics import DIFFERENCE_RANGE, score_intervals
from merec.metrics import Confusion, f1_per_class, uf1, uf1_without_each
from merec.run_folder.identity import configuration_hash
from merec.types import InputError

log = logging.getLogger(__name__)

MODALITIES = ("rgb", "depth", "fused")
_DECIDED = ("modality", "channels")  # settings of the datamodule that follow from the modality


def compare_modalities(results: Sequence[Result]) -> pd.DataFrame:
    """Set results that differ in their modality only beside that of colour, or the first there is.

    Returns:
        One row per result, subset and metric: the `family` of equal settings, its `modality`, the `base` (a
        result), and what `compare_with_base` says of it; none where a family has one modality only.
    """
    tables = []
    for family, members in _find_families(results).items():
        base = next(iter(members.values()))
        for modality, result in members.items():
            try:
                found = compare_with_base(base, result)
            except InputError as error:  # the other rows are no worse for it
                log.warning("%s is not set beside %s: %s", result.name, base.name, error)
                continue
            about = {**result.identity, "family": family, "modality": modality, "base": base.name}
            tables.append(found.assign(**about)[_COLUMNS])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_COLUMNS)


_COLUMNS = [
    *(*IDENTITY, "family", "modality", "base", "subset", "metric", "b", "b_low", "b_high"),
    *("a", "difference", "low", "high", "p", "samples", "subjects"),
]


def _find_families(results: Sequence[Result]) -> dict[str, dict[str, Result]]:
    """Results by modality, colour first, of settings that are equal otherwise; two modalities or more."""
    families: dict[str, dict[str, Result]] = {}
    for result in results:
        settings = read_settings(result)
        data = settings.get("datamodule") or {}
        modality = data.get("modality")
        if modality not in MODALITIES:
            continue
        others = {key: value for key, value in data.items() if key not in _DECIDED}
        members = families.setdefault(configuration_hash({**settings, "datamodule": others}), {})
        if modality in members:
            log.warning(
                "%s is not in the table of modalities: it differs from %s in %s only",
                result.name,
                members[modality].name,
                _name_difference(result, members[modality]),
            )
            continue
        members[modality] = result
    return {
        family: {name: members[name] for name in MODALITIES if name in members}
        for family, members in families.items()
        if len(members) > 1
    }


def _name_difference(a: Result, b: Result) -> str:
    """Name what differs between results of one family and modality: channels, data or code."""
    if read_settings(a) != read_settings(b):
        return "channels"
    _, data_a, _ = a.runs[0].configuration
    _, data_b, _ = b.runs[0].configuration
    return "data" if data_a != data_b else "code"


def ablate_classes(results: Sequence[Result]) -> pd.DataFrame:
    """The F1 of each class, what it is taken for, and the UF1 of the others without it.

    Nothing is trained again: the predictions are those of networks that know all classes.

    Returns:
        One row per result and class, on all samples: its `samples`; `f1` with `f1_low` and `f1_high`; the
        class it is most often `taken_for` and in which `share` of its samples; `uf1_without` (see
        `uf1_without_each`) and its `difference` to UF1 with `low` and `high`. Averaged over seeds, 95 %
        subject bootstrap.
    """
    rows = []
    for result in results:
        classes = result.protocol.classes
        counts = result.confusions()[1]
        f1 = score_intervals(f1_per_class, counts, each=True)
        gain = score_intervals(_gain_without_each, counts, each=False, limits=DIFFERENCE_RANGE)
        without = uf1_without_each(counts.sum(1)).mean(0)
        pooled = counts.sum((0, 1))
        wrong = pooled - np.diag(np.diag(pooled))
        for number, name in enumerate(classes):
            found = int(wrong[number].argmax())
            total = int(pooled[number].sum())
            rows.append(
                {
                    **result.identity,
                    "class": name,
                    "samples": total // len(counts),
                    **dict(zip(("f1", "f1_low", "f1_high"), f1[:, number], strict=True)),
                    "taken_for": classes[found] if wrong[number, found] else "",
                    "share": wrong[number, found] / max(total, 1),
                    "uf1_without": without[number],
                    **dict(zip(("difference", "low", "high"), gain[:, number], strict=True)),
                }
            )
    return pd.DataFrame(rows)


def _gain_without_each(counts: Confusion) -> np.ndarray:
    """UF1 of the others without a class, less UF1 of all."""
    return uf1_without_each(counts) - uf1(counts)[..., None]
