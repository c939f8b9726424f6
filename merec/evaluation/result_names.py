"""Names of results; settings are added if configurations have the same name."""

from typing import Any

from merec.evaluation.runs import Run
from merec.run_folder.identity import flatten, shared_settings


def join_remarks(runs: list[Run]) -> str | None:
    """Join the remarks of pooled runs: remarks of their configs, and a note if their code differs."""
    remarks = [r for run in runs if (r := run.config.get("remark"))]
    versions = max(len(run.codes) for run in runs)
    if versions > 1:
        remarks.append(f"folds of {versions} versions of the code (resume=force)")
    return "; ".join(dict.fromkeys(remarks)) or None


def name_results(groups: list[list[Run]]) -> list[str]:
    """Return names for groups of runs, with remarks if these differ, and with settings if names are equal."""
    names = [group[0].environment["name"] for group in groups]
    remarks = [join_remarks(group) for group in groups]
    if len(set(remarks)) > 1:
        names = [
            f"{n}, {remark}" if remark else n for n, remark in zip(names, remarks, strict=True)
        ]
    all_settings = [flatten(shared_settings(group[0].config)) for group in groups]
    few, telling = [], []
    for name, mine in zip(names, all_settings, strict=True):
        same = [other for other, n in zip(all_settings, names, strict=True) if n == name]
        keys = [key for key in mine if any(other.get(key) != mine[key] for other in same)]
        keys.sort(key=lambda key: key.count("."))  # what the task does before how its parts do it
        few.append(_spell_settings(mine, keys)[:3])
        telling.append(_spell_settings(mine, _keep_telling(keys, same)))
    for details in (
        few,
        telling,
    ):  # three settings to be short; those it takes if that is two for one
        apart = [
            f"{name} ({', '.join(detail)})" if detail else name
            for name, detail in zip(names, details, strict=True)
        ]
        if len(set(apart)) == len(apart):
            return apart
    # They differ in what no name shows: the pixels they were trained on, say.
    hashes = ["/".join(h[:8] for h in group[0].configuration if h) for group in groups]
    return [f"{name} [{short}]" for name, short in zip(apart, hashes, strict=True)]


def _keep_telling(keys: list[str], same: list[dict[str, Any]]) -> list[str]:
    """Return the fewest settings, in order, that distinguish results of the same name."""
    kept: list[str] = []
    groups = 1
    for key in keys:
        distinct = len({str([other.get(k) for k in (*kept, key)]) for other in same})
        if distinct > groups:
            kept, groups = [*kept, key], distinct
    return kept


def _spell_settings(settings: dict[str, Any], keys: list[str]) -> list[str]:
    """Spell settings as on the command line, e.g. null instead of None."""
    values = {key: "null" if settings[key] is None else settings[key] for key in keys}
    texts = [f"{key.rpartition('.')[2]}={value}" for key, value in values.items()]
    return list(dict.fromkeys(texts))
