"""Checks before a run is resumed: equal config, data and code."""

import logging
from typing import Any

from merec.errors import InputError
from merec.run_folder import RunFolder
from merec.run_folder.environment import list_sessions
from merec.run_folder.identity import comparable, flatten
from merec.source_code import name_changed
from merec.types import Protocol

log = logging.getLogger(__name__)


def assert_resumable(folder: RunFolder, config: dict[str, Any]) -> None:
    """Refuse a folder that contains a run with another config.

    Raises:
        InputError: If so; the message names the folder and the differences.
    """
    if not folder.config.exists() or not folder.has_results:
        return
    before = flatten(comparable(folder.read_config()))
    now = flatten(comparable(config))
    changed = [
        f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise InputError(
            f"{folder} holds a run of another config ({'; '.join(changed[:3])}{more}); {_ELSEWHERE}"
        )


def assert_same_data(folder: RunFolder, environment: dict[str, Any]) -> None:
    """Refuse to resume a run with other samples, features or starting weights.

    Raises:
        InputError: If so; the message names both.
    """
    if not folder.has_results or not folder.environment.exists():
        return
    before = folder.read_environment()
    old, new = (Protocol.from_dict(e["protocol"]) for e in (before, environment))
    if old != new:
        raise InputError(
            f"{folder} was begun on {old.name} ({old.samples} samples, {old.hash}), but the "
            f"corpus now is {new.name} ({new.samples} samples, {new.hash}); {_ELSEWHERE}"
        )
    if before.get("content", environment["content"]) != environment["content"]:
        raise InputError(
            f"{folder} was begun on the same samples with other features or starting weights "
            f"({before['content']}, now {environment['content']}); {_ELSEWHERE}"
        )


def assert_same_code(folder: RunFolder, environment: dict[str, Any], resume: str) -> None:
    """Refuse to resume a run whose results were computed by other code.

    Args:
        folder: The run folder.
        environment: Environment of the current command, see `merec.provenance.describe_environment`.
        resume: `same` to refuse, `force` to continue all the same.

    Raises:
        InputError: If so; the message names the changed files and the alternatives.
    """
    if resume not in ("same", "force"):
        raise InputError(f"resume={resume} is unknown; choose same or force")
    if not folder.has_results or not folder.environment.exists():
        return
    before = list_sessions(folder.read_environment())[-1].get("code")
    now = environment["code"]
    if before == now:
        return
    if before is None:
        problem = "was made by a merec that did not record the code of its results"
    else:
        problem = f"holds results of other code: {name_changed(before, now)} changed since they were computed"
    if resume == "force":
        log.warning("%s %s; resume=force keeps them", folder.path, problem)
        return
    raise InputError(
        f"{folder} {problem}; {_ELSEWHERE}, or set resume=force to keep them and train what is missing by "
        "the code of today, which every table then says"
    )


_ELSEWHERE = "set hydra.run.dir (with -m: hydra.sweep.dir) to another folder, or delete this one"


_DECIDES = ("commit", "code", "versions", "machine")


def record_environment(folder: RunFolder, environment: dict[str, Any]) -> None:
    """Write the environment of a run; for a resumed run, keep the first one and add changes."""
    if folder.environment.exists() and folder.has_results:
        before = folder.read_environment()
        now = {key: environment[key] for key in _DECIDES}
        if now != {key: list_sessions(before)[-1].get(key) for key in _DECIDES}:
            log.warning("%s was begun by other code, libraries or on another machine", folder.path)
            before["resumed"] = [*before.get("resumed", []), now]
        environment = before
    folder.write_environment(environment)
