"""Validation of environment.json: data, code and versions of a run."""

import shlex
from typing import Any

from merec.run_folder.reading import UnexpectedError, expect, expect_number
from merec.targets import TARGETS
from merec.types import Protocol

MEASURED = ("seconds", "parameters", "tried")  # of a finished fold, and of a whole run


def check_environment(entries: dict[str, Any]) -> None:
    """Refuse an environment.json with missing entries or entries of another type.

    Raises:
        UnexpectedError: If so; the message names the first such entry.
    """
    for name in ("name", "configuration"):
        expect(entries.get(name), str, name, "a text")
    for name in ("content", "commit", "command"):
        expect(entries.get(name), (str, type(None)), name, "a text")
    expect(entries.get("transductive", False), bool, "transductive", "true or false")
    for name in MEASURED:
        expect_number(entries.get(name), name)
    shlex.split(entries.get("command") or "")  # it is given again from here
    left_out = expect(
        entries.get("not_trained_on") or {}, dict, "not_trained_on", "entries by name"
    )
    for name, count in left_out.items():
        expect(count, int, f"not_trained_on.{name}", "a whole number")
        expect_number(count, f"not_trained_on.{name}")
    check_protocol(entries.get("protocol"))
    sessions = expect(entries.get("resumed", []), list, "resumed", "a list")
    for session in (entries, *sessions):
        expect(session, dict, "resumed", "a list of entries by name")
        for name in ("versions", "machine"):
            expect(session.get(name, {}), dict, name, "entries by name")
        expect(session.get("code"), (dict, type(None)), "code", "entries by name")
        for name, digest in (session.get("code") or {}).items():
            expect(digest, str, f"code of {name}", "a hash")


def list_sessions(environment: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the environment of the start of a run, and of each resume with other code or machine."""
    return [environment, *environment.get("resumed", [])]


def check_protocol(fields: Any) -> Protocol:
    """Return the protocol that a file describes.

    Raises:
        UnexpectedError: If an entry is missing, unknown or has another type.
    """
    expect(fields, dict, "protocol", "entries by name")
    field_names = Protocol.__dataclass_fields__
    for name in fields:
        if name not in field_names:
            raise UnexpectedError(
                f"protocol has the entry {name!r}, which this version of merec lacks"
            )
    for name in ("name", "hash"):
        expect(fields.get(name), str, f"protocol.{name}", "a text")
    for name in ("samples", "subjects"):
        if expect(fields.get(name), int, f"protocol.{name}", "a number") < 1:
            raise UnexpectedError(f"protocol.{name} is {fields[name]}, expected 1 or more")
    for name in ("classes", "held_out", "train_on"):
        words = expect(fields.get(name, []), list, f"protocol.{name}", "a list of names")
        for word in words:
            expect(word, str, f"an entry of protocol.{name}", "a name")
        if len(set(words)) < len(words):
            raise UnexpectedError(f"protocol.{name} names something twice")
    groups = expect(fields.get("groups", []), list, "protocol.groups", "a list of groups")
    for names in groups:
        expect(names, list, "an entry of protocol.groups", "a list of subjects")
        for name in names:
            expect(name, str, "a subject of protocol.groups", "a name")
    members = [name for names in groups for name in names]
    if len(set(members)) < len(members) or not all(groups):
        raise UnexpectedError("protocol.groups has a subject twice or a group without subjects")
    if not fields.get("classes"):
        raise UnexpectedError("protocol.classes is empty")
    expect(fields.get("sources", ""), str, "protocol.sources", "a text")
    target = fields.get("target", "emotion")
    if target not in TARGETS:
        raise UnexpectedError(f"protocol.target is {target!r}, expected {' or '.join(TARGETS)}")
    return Protocol.from_dict(fields)
