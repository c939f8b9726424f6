"""The files of a run folder: their names, and how each is read and validated.

Whoever reads a file of a run reads it here, because a run folder may come from somebody else, from another
version of merec or from a disk that was full. Every function says in one line which file is wrong, what is
wrong with it and what to do. Nothing in a file is executed, resolved or built.
"""

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from merec.errors import quote_error
from merec.files import refuse_stranger
from merec.types import InputError, Protocol

CONFIG = "config.yaml"  # the resolved config
ENVIRONMENT = "environment.json"  # versions, commit, protocol
METRICS = "metrics.json"  # scores of a whole run
PREDICTIONS = "predictions.csv"  # of a fold; of all folds
EPOCHS = "epochs.npz"  # of a fold
FOLD = "fold.json"  # how long a fold took, and what was chosen inside it
CHECKPOINT = "checkpoint.ckpt"  # of a fold, or of a run that holds nobody out
WANDB_ID = "wandb_id"
RUN_AGAIN = "run the command of its folder again in a new one"
FOLD_AGAIN = "delete the folder of this fold and give the run's command again"

_MOST_VALUES = 100_000  # of a config; one of merec has some hundreds
_MOST_LEVELS = 40
_EPOCHS = ("sample_id", "predicted", "train_loss", "train_accuracy")
_NUMBERS = ("seconds", "parameters", "tried")  # of environment.json, once a run is whole
# What readers look into; elsewhere, as among W&B's choices, the same names stand for words.
_NODES = (
    *("task", "corpus", "features", "datamodule", "backbone", "recipe", "trainer", "logger"),
    *("task.backbone", "task.datamodule", "task.datamodule.jitter", "task.datamodule.features"),
    *("task.datamodule.features.pool", "task.trainer"),
)


@contextmanager
def reading(file: Path, remedy: str) -> Iterator[None]:
    """Raise one line about `file` for whatever goes wrong while the block reads it.

    Args:
        file: The file that is read.
        remedy: What the user can do, as a clause.

    Raises:
        InputError: If the file is missing, cannot be read, or is damaged.
    """
    if file.exists() and not (file.is_file() or file.is_dir()):  # a pipe would be waited for
        raise InputError(f"{file} is no regular file; {remedy}")
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{file} does not exist; {remedy}") from error
    except IsADirectoryError as error:
        raise InputError(f"{file} is a folder, expected a file; {remedy}") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror or error}); {remedy}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is damaged (it is not UTF-8 text); {remedy}") from error
    except Exception as error:  # damage shows in a parser, a decompressor or beyond
        refuse_stranger(file)
        text = quote_error(error) if str(error) else "no reason given"
        kind = "" if isinstance(error, UnexpectedError) else f"{type(error).__name__}: "
        if isinstance(error, KeyError):
            kind, text = "", f"{text} is missing"
        elif isinstance(error, RecursionError):
            kind, text = "", "it is nested too deeply"
        raise InputError(f"{file} is damaged ({kind}{text}); {remedy}") from error


class UnexpectedError(ValueError):
    """A value of a file that is not what it must be; `reading` names the file."""


def expect(value: Any, kind: type | tuple[type, ...], name: str, words: str) -> Any:
    """Return a value of a file if it is of a kind.

    Args:
        value: The value.
        kind: Its type or types. A truth value is no number.
        name: What the file calls it.
        words: The kind in words, with an article.

    Raises:
        UnexpectedError: If it is of another kind.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        found = repr(value)
        found = found if len(found) <= 60 else f"{found[:60]}…"
        raise UnexpectedError(f"{name} is {found}, expected {words}")
    return value


def check_config(config: Any) -> dict[str, Any]:
    """Return a run's config that came out of a file if it is plain and resolved; see `check_node`.

    Raises:
        UnexpectedError: As `check_node` says, or if a node that merec reads is no mapping.
    """
    check_node(config)
    for name in _NODES:
        expect(find_node(config, name), dict, name, "entries by name")
    for name in ("name", "remark", "note"):
        expect(config.get(name), (str, type(None)), name, "a text")
    for name in ("seed", "fold"):
        expect(config.get(name), (int, type(None)), name, "a whole number")
    return config


def check_node(config: Any) -> dict[str, Any]:
    """Return a node of a config that came out of a file if it is plain values by name, all resolved.

    Args:
        config: What `yaml.safe_load` gave.

    Raises:
        UnexpectedError: If it is no mapping, or a key or value holds an
            interpolation (`${…}`), which OmegaConf would resolve: to a variable of this machine, or to a
            class to be called.
    """
    expect(config, dict, "it", "entries by name")
    waiting: list[tuple[str, Any, int]] = [("", config, 0)]
    values = 0
    # Not recursive: YAML's aliases can repeat a value, or hold themselves.
    while waiting:
        path, value, level = waiting.pop()
        values += 1
        if values > _MOST_VALUES or level > _MOST_LEVELS:
            raise UnexpectedError("it holds more values or levels than a config of merec")
        if isinstance(value, dict):
            for key, child in value.items():
                name = expect(key, (str, int), f"a key of {path or 'it'}", "a name")
                below = f"{path}.{name}" if path else str(name)
                _refuse_interpolation(name, f"a key of {path or 'it'}")
                waiting.append((below, child, level + 1))
        elif isinstance(value, list):
            waiting += [(f"{path}[{place}]", child, level + 1) for place, child in enumerate(value)]
        else:
            expect(value, (str, int, float, bool, type(None)), path, "a text, a number or null")
            _refuse_interpolation(value, path)
    return config


def _refuse_interpolation(value: Any, path: str) -> None:
    if isinstance(value, str) and ("${" in value or value == "???"):
        raise UnexpectedError(f"{path} is {value[:60]!r}, but a config in a file is resolved")


def find_node(config: Mapping[str, Any], path: str) -> Any:
    """Find a node of a config by its dotted name; one that is absent or null is empty."""
    node: Any = config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return {} if node is None else node


def parse_config(text: str) -> dict[str, Any]:
    """Parse the text of a resolved config; see `check_config`.

    Raises:
        UnexpectedError: As `check_config` says, or if the text was cut off, which often is YAML still.
    """
    if text and not text.endswith("\n"):
        raise UnexpectedError("its last line is not whole")
    # Not yaml.CSafeLoader, which is seven times as fast: a damaged file could end the process with it.
    return check_config(yaml.safe_load(text))


def read_config(folder: Path) -> dict[str, Any]:
    """Read the resolved config of a run folder.

    Raises:
        InputError: If it is missing, damaged or not resolved.
    """
    file = folder / CONFIG
    with reading(file, RUN_AGAIN):
        return parse_config(file.read_text(encoding="utf-8"))


def read_json(file: Path, remedy: str) -> dict[str, Any]:
    """Read entries by name from a JSON file.

    Raises:
        InputError: If it is missing, damaged or something else.
    """
    with reading(file, remedy):
        content = json.loads(file.read_text(encoding="utf-8"))
        return expect(content, dict, "it", "entries by name")


def read_environment(folder: Path) -> dict[str, Any]:
    """Read what a run was made of.

    Raises:
        InputError: If the file is missing or damaged, or an entry that merec reads is missing or of another
            kind.
    """
    file = folder / ENVIRONMENT
    found = read_json(file, RUN_AGAIN)
    with reading(file, RUN_AGAIN):
        for name in ("name", "configuration"):
            expect(found.get(name), str, name, "a text")
        for name in ("content", "commit", "command"):
            expect(found.get(name), (str, type(None)), name, "a text")
        expect(found.get("transductive", False), bool, "transductive", "true or false")
        for name in _NUMBERS:
            _expect_number(found.get(name), name)
        shlex.split(found.get("command") or "")  # it is given again from here
        left_out = expect(
            found.get("not_trained_on") or {}, dict, "not_trained_on", "entries by name"
        )
        for name, count in left_out.items():
            expect(count, int, f"not_trained_on.{name}", "a whole number")
            _expect_number(count, f"not_trained_on.{name}")
        check_protocol(found.get("protocol"))
        sessions = expect(found.get("resumed", []), list, "resumed", "a list")
        for session in (found, *sessions):
            expect(session, dict, "resumed", "a list of entries by name")
            for name in ("versions", "machine"):
                expect(session.get(name, {}), dict, name, "entries by name")
            expect(session.get("code"), (dict, type(None)), "code", "entries by name")
            for name, digest in (session.get("code") or {}).items():
                expect(digest, str, f"code of {name}", "a hash")
    return found


def _expect_number(value: Any, name: str) -> None:
    expect(value, (int, float, type(None)), name, "a number")
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise UnexpectedError(f"{name} is {value}, expected a number of 0 or more")


def check_protocol(fields: Any) -> Protocol:
    """Return the protocol that a file describes.

    Raises:
        UnexpectedError: If an entry is missing, unknown or of another kind.
    """
    expect(fields, dict, "protocol", "entries by name")
    known = Protocol.__dataclass_fields__
    for name in fields:
        if name not in known:
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
    if target not in ("emotion", "action_units"):
        raise UnexpectedError(f"protocol.target is {target!r}, expected emotion or action_units")
    return Protocol.from_dict(fields)


def read_fold_notes(file: Path) -> dict[str, Any]:
    """Read how long a fold took and what was chosen inside it.

    Raises:
        InputError: If the file is missing or damaged.
    """
    notes = read_json(file, FOLD_AGAIN)
    with reading(file, FOLD_AGAIN):
        if notes.get("seconds") is None:
            raise UnexpectedError("seconds is missing, expected a number")
        for name in _NUMBERS:
            _expect_number(notes.get(name), name)
    return notes


def read_scores(folder: Path) -> dict[str, float]:
    """Read UF1 and UAR of a whole run on all its samples, or the mean F1 of action units; else nothing.

    Raises:
        InputError: If the file is damaged.
    """
    file = folder / METRICS
    if not file.exists():
        return {}
    remedy = "delete it and give the run's command again, which writes it anew"
    content = read_json(file, remedy)
    with reading(file, remedy):
        if "action_units" in content:
            found = {row["unit"]: row["f1"] for row in content["action_units"]}
            scores = {"f1": found["mean"]}
        else:
            full = content["scores"]["Full"]
            scores = {name: full[name]["value"] for name in ("uf1", "uar")}
        for name, value in scores.items():
            _expect_number(expect(value, (int, float), name, "a number"), name)
        return {name: float(value) for name, value in scores.items()}


def read_epoch_arrays(file: Path) -> dict[str, np.ndarray]:
    """Read what a fold did epoch by epoch: the arrays of `merec.evaluation.runs.Epochs`.

    Raises:
        InputError: If an array is missing, of another kind, or their shapes do not fit each other.
    """
    with reading(file, FOLD_AGAIN):
        with np.load(file, allow_pickle=False) as content:
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise UnexpectedError("it holds one array, expected several by name")
            if sorted(content.files) != sorted(_EPOCHS):
                raise UnexpectedError(
                    f"it holds {', '.join(content.files) or 'nothing'}, expected {', '.join(_EPOCHS)}"
                )
            arrays = {name: content[name] for name in _EPOCHS}
        kinds = {"sample_id": "U", "predicted": "iu", "train_loss": "f", "train_accuracy": "f"}
        for name, kind in kinds.items():
            if arrays[name].dtype.kind not in kind:
                raise UnexpectedError(f"{name} has the type {arrays[name].dtype}")
        predicted = arrays["predicted"]
        samples, epochs = predicted.shape[:2] if predicted.ndim in (2, 3) else (-1, -1)
        expected = {
            "sample_id": (samples,),
            "train_loss": (epochs,),
            "train_accuracy": (epochs,),
        }
        for name, shape in expected.items():
            if arrays[name].shape != shape or epochs < 1:
                shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
                raise UnexpectedError(f"the shapes do not fit each other: {shapes}")
    return arrays


def read_csv(
    file: Path,
    columns: Mapping[str, str],
    remedy: str = RUN_AGAIN,
) -> pd.DataFrame:
    """Read a small table that merec wrote.

    Args:
        file: The table; what it has beyond `columns` is left out.
        columns: The kind of each column: `text`, `number` (finite), `optional` (a number, or NaN for an empty
            cell), `whole` or `truth`.
        remedy: What the user can do, as a clause.

    Raises:
        InputError: If the file is missing or damaged, or a column is missing or of another kind.
    """
    with reading(file, remedy):
        # As text first: a sample called 006 or NA is that.
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        missing = [name for name in columns if name not in table]
        if missing:
            raise UnexpectedError(f"it has no column {', '.join(missing)}")
        table = table[list(columns)].copy()
        for name, kind in columns.items():
            if kind == "truth":
                _assert_rows(table[name].isin(["True", "False"]), table[name], "True or False")
                table[name] = table[name] == "True"
            elif kind != "text":
                numbers = pd.to_numeric(table[name], errors="coerce").astype(float)
                good = np.isfinite(numbers)
                if kind == "optional":
                    good |= table[name] == ""
                    table[name] = table[name].replace("", "nan")
                if kind == "whole":
                    good &= numbers == numbers.round()
                _assert_rows(good, table[name], "a number")
                # Python's own reader: pandas' rounds by version.
                table[name] = table[name].map(float).astype(int if kind == "whole" else float)
    return table


def _assert_rows(good: pd.Series, column: pd.Series, words: str) -> None:
    if not good.all():
        row = int(good.to_numpy().argmin())
        raise UnexpectedError(
            f"line {row + 2}: {column.name} is {column.iloc[row][:60]!r}, expected {words}"
        )


def read_wandb_id(folder: Path) -> str | None:
    """Read the id under which W&B knows a run; `None` if it was told of none.

    Raises:
        InputError: If the file is damaged.
    """
    file = folder / WANDB_ID
    if not file.exists():
        return None
    with reading(file, "delete it, and W&B is told of a new run"):
        identity = file.read_text(encoding="utf-8").strip()
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", identity):
            raise UnexpectedError(f"it holds {identity[:60]!r}, expected letters and digits")
    return identity
