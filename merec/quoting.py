"""Quoting of text values of overrides, so that Hydra's grammar reads them literally.

Hydra parses `KEY=VALUE` by a grammar in which parentheses, `~`, `=`, brackets and non-ASCII letters have a
meaning or are errors. Paths and notes may contain all of them.
"""

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from merec.path_names import check_path

# Keys whose value is free text; tests/test_quoting.py compares them with the signatures of all constructors.
PATH_KEYS = (
    "roots.*",
    "corpus.root",
    "corpus.annotation",
    "corpus.parts.*.root",
    "corpus.render.annotation",
    "features.root",
    "task.weights",
    "logger.save_dir",
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.launcher.submitit_folder",
)
TEXT_KEYS = (
    *PATH_KEYS,
    "name",
    "remark",
    "corpus.name",
    "corpus.parts.*.name",
    "corpus.part_c_frames",
    "corpus.unlabelled",
    "logger.name",
    "logger.project",
    "logger.group",
    "logger.job_type",
    "logger.notes",
    "hydra.sweep.subdir",
    "hydra.job.name",
    "hydra.launcher.partition",
    "hydra.launcher.account",
    "hydra.launcher.constraint",
    "hydra.launcher.comment",
)
MIXED_KEYS = ("corpus.intrinsics",)  # a path, or a mapping


def quote_texts(overrides: Sequence[str], multirun: bool = False) -> list[str]:
    """Quote the values of text keys that Hydra's grammar would refuse or change.

    `null`, quoted values and values that the grammar does not change stay unchanged; `~` at the start of a
    path becomes the home folder. In a multirun a comma separates values, unless a space follows it, it is in
    quotes, or the whole value is an existing path; otherwise it is part of the text. The value of any other
    key is quoted only if the grammar cannot parse it and it is not a list or mapping.

    Args:
        overrides: Arguments of the command line; flags and arguments without `=` are not changed.
        multirun: Whether commas separate values.

    Returns:
        The arguments, in the same order.
    """
    return [_quote_override(text, multirun) for text in overrides]


def is_text_key(key: str, keys: Sequence[str] = TEXT_KEYS) -> bool:
    """Return whether a dotted key matches one of the patterns in `keys`."""
    return any(fnmatchcase(key, pattern) for pattern in keys)


def _quote_override(override: str, multirun: bool) -> str:
    key, equals, value = override.partition("=")
    name = key.lstrip("+")
    if not equals or name.startswith(("-", "~")) or not value:
        return override
    mixed = is_text_key(name, MIXED_KEYS)
    is_path = mixed or is_text_key(name, PATH_KEYS)
    if not is_path and not is_text_key(name):
        readable = _parse(override) is not None or value[0] in "[{'\"" or _parse(f"{key}=0") is None
        return override if readable else f"{key}={quote(value)}"
    whole = not multirun or (is_path and Path(value).expanduser().exists())
    values = [value] if whole else _split(value)
    for one in values if is_path else ():
        check_path(f"{name}=", one)
    return f"{key}=" + ",".join(_quote_value(one, is_path, mixed, multirun) for one in values)


def _quote_value(value: str, is_path: bool, mixed: bool, multirun: bool) -> str:
    if is_path and value.startswith("~"):
        value = os.path.expanduser(value)  # noqa: PTH111 - of an unknown user it leaves the text as it is
    override = _parse(f"key={value}")
    if override is None:
        return quote(value)
    if override.is_sweep_override():
        is_function = (
            multirun and "," not in value.partition("(")[0]
        )  # choice(a,b), range(3), glob(*)
        return value if is_function else quote(value)
    read = override.value()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return (
        value
        if read in (None, value) or quoted or (mixed and isinstance(read, dict))
        else quote(value)
    )


def quote(text: str) -> str:
    """Quote a text for Hydra's grammar."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text=text, quote=Quote.single).with_quotes()


def is_readable(argument: str) -> bool:
    """Return whether Hydra's grammar can parse an argument; always True for a flag."""
    return argument.startswith("-") or _parse(argument) is not None


def _parse(override: str) -> Any:
    """Parse an override with Hydra's grammar; `None` if it is invalid."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(override)
    except HydraException:
        return None


def _split(value: str) -> list[str]:
    """Split at commas outside quotes and brackets that no space follows."""
    parts, quote_, depth, start = [], "", 0, 0
    for place, letter in enumerate(value):
        if quote_:
            quote_ = "" if letter == quote_ and value[place - 1] != "\\" else quote_
        elif letter in "'\"" and place == start:
            quote_ = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth <= 0 and value[place + 1 : place + 2].strip():
            parts.append(value[start:place])
            start = place + 1
    return [*parts, value[start:]]
