"""Pooling of runs: fold ranges are joined, and seeds become one result."""

import logging
from collections.abc import Iterable, Sequence

import pandas as pd

from merec.evaluation.completeness import assert_complete
from merec.evaluation.protocol import assert_same_protocol
from merec.evaluation.result_names import name_results
from merec.evaluation.results import Result
from merec.evaluation.runs import Run
from merec.source_code import name_changed
from merec.types import InputError

log = logging.getLogger(__name__)


def pool_runs(runs: Sequence[Run]) -> list[Result]:
    """Join runs that differ only in seed and fold range.

    An incomplete configuration is skipped with a warning if the user named only a folder above it, and if
    other configurations are complete.

    Raises:
        InputError: If protocols differ, or a sample is missing or predicted twice.
    """
    for run in runs[1:]:
        assert_same_protocol(runs[0].protocol, run.protocol, str(runs[0].folder), str(run.folder))
    groups: dict[tuple[str | None, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.configuration, []).append(run)
    whole: list[tuple[list[Run], pd.DataFrame]] = []
    passed_over: list[InputError] = []
    for group in groups.values():
        table = pd.concat([run.predictions for run in group], ignore_index=True)
        try:
            assert_complete(table, group[0].protocol, ", ".join(str(run.folder) for run in group))
        except InputError as error:
            error = _mention_other_code(error, group, groups.values())
            if any(run.named for run in group):
                raise error from None
            passed_over.append(error)
            continue
        _warn_of_unlike_code(group)
        whole.append((group, table))
    if not whole:
        raise passed_over[0]
    for reason in passed_over:
        log.warning("passed over: %s", reason)
    names = name_results([group for group, _ in whole])
    return [
        Result(name, group[0].protocol, group, table)
        for name, (group, table) in zip(names, whole, strict=True)
    ]


def _warn_of_unlike_code(group: list[Run]) -> None:
    """Warn if pooled runs were started with different code or libraries."""
    name = group[0].environment["name"]
    commits = [run.environment.get("commit") for run in group]
    if len(set(commits)) > 1:
        run_texts = [f"{run.folder} ({record})" for run, record in zip(group, commits, strict=True)]
        log.warning("%s pools runs of different commits: %s", name, ", ".join(run_texts))
    versions = [run.environment.get("versions") or {} for run in group]
    unlike = {}
    for package in sorted({package for record in versions for package in record}):
        versions_used = dict.fromkeys(
            str(record.get(package, "none recorded")) for record in versions
        )
        if len(versions_used) > 1:
            unlike[package] = " and ".join(versions_used)
    if unlike:
        log.warning(
            "%s pools runs of different versions: %s; %s",
            name,
            ", ".join(f"{package} {versions_used}" for package, versions_used in unlike.items()),
            ", ".join(str(run.folder) for run in group),
        )


def _mention_other_code(
    error: InputError, group: list[Run], groups: Iterable[list[Run]]
) -> InputError:
    """Add a hint to the error of incomplete runs if runs of other code would complete them."""
    mine = group[0].configuration
    alike = [other[0] for other in groups if other[0].configuration[:2] == mine[:2]]
    different = [run for run in alike if run.configuration != mine]
    if not different:
        return error
    mine_code, theirs = (run.environment.get("code") or {} for run in (group[0], different[0]))
    return InputError(
        f"{error}; {different[0].folder} has the same config and data, but was trained by other code "
        f"({name_changed(mine_code, theirs)}), so they are not pooled"
    )
