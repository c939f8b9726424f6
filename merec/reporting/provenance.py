"""Provenance section: protocol, seeds, folders, time and code of every result, commands and versions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from merec.evaluation.results import Result
from merec.presentation.numbers_and_captions import (
    NOTHING,
    describe_results,
    format_list,
    hide_folders,
)
from merec.presentation.table import Table
from merec.run_folder.environment import list_sessions
from merec.studies.answer import Answer


class Provenance(NamedTuple):
    """Provenance of results: facts about the protocol, a table of results, and named lines to copy."""

    facts: Mapping[str, str]
    table: Table
    listings: Mapping[str, Sequence[str]]


def answer_provenance(results: Sequence[Result]) -> Answer:
    """List the protocol, every result with its code, and all commands and versions."""
    protocol = results[0].protocol
    facts = {
        "Protocol": f"{protocol.name}, hash {protocol.hash}",
        "Samples": f"{protocol.samples} of {protocol.subjects} subjects, held out once per seed",
        "Classes": format_list(protocol.classes),
    }
    rows = pd.DataFrame([_describe(result) for result in results])
    table = Table("What was run", describe_results(results), rows)
    environments = [run.environment for result in results for run in result.runs]
    commands = [hide_folders(str(e["command"])) for e in environments if e.get("command")]
    versions = [
        format_list([f"{name} {version}" for name, version in e["versions"].items()])
        for e in environments
        if e.get("versions")
    ]
    listings = {
        "Commands": list(dict.fromkeys(commands)),
        "Versions": list(dict.fromkeys(versions)),
    }
    return Answer("What was run", [Provenance(facts, table, listings)])


def _describe(result: Result) -> dict[str, str]:
    environments = [run.environment for run in result.runs]
    seconds = [float(e["seconds"]) for e in environments if e.get("seconds") is not None]
    sessions = [session for e in environments for session in list_sessions(e)]
    commits = dict.fromkeys(str(s["commit"]) for s in sessions if s.get("commit"))
    return {
        "Method": result.name,
        "Seeds": format_list(result.seeds),
        "Transductive": "YES" if result.transductive else "no",
        "Run folders": format_list([run.folder for run in result.runs]),
        "Time": _format_seconds(sum(seconds)) if seconds else NOTHING,
        "Commit": format_list(list(commits)) or NOTHING,
        "Configuration": result.key[:12],
    }


def _format_seconds(seconds: float) -> str:
    """Return seconds as `1 h 23 min`, `4 min` or `12 s`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
