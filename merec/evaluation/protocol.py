"""Protocols: lists of samples with a name and a hash, so that only comparable scores are compared."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from merec.targets import find_target, open_target
from merec.types import Corpus, InputError, Protocol

WRONG_COUNTS = (
    "compare it with the official file of this protocol: rows may be missing, sorted into it or relabelled; "
    "set corpus.expected=null to use it knowingly"
)


def describe_protocol(
    name: str, index: pd.DataFrame, classes: Sequence[str], target: str = "emotion"
) -> Protocol:
    """Count and hash an index of samples (columns `sample_id`, `subject`, `label`).

    Raises:
        InputError: If a class is named twice.
    """
    twice = sorted(str(class_name) for class_name in {*classes} if [*classes].count(class_name) > 1)
    if twice:
        raise InputError(f"{name}: class {twice[0]} is named twice; name each class once")
    # NUL is in no file name: with a comma, ("a,b", "c") and ("a", "b,c") would hash alike.
    rows = sorted(index[["sample_id", "subject", "label"]].astype(str).agg("\0".join, axis=1))
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    samples, subjects = len(index), index["subject"].nunique()
    sources = ""
    if "corpus" in index:
        sample_lines = sorted(index[["sample_id", "corpus"]].astype(str).agg("\0".join, axis=1))
        sources = hashlib.sha256("\n".join(sample_lines).encode()).hexdigest()[:16]
    return Protocol(
        name, tuple(classes), samples, subjects, digest[:16], target=target, sources=sources
    )


def set_target(corpus: Corpus, target: str, min_subjects: int, groups: int | None = None) -> Corpus:
    """Return a corpus with the labels of a target.

    Args:
        corpus: Corpus that is labelled with emotions.
        target: `emotion` or `action_units`.
        min_subjects: Number of training subjects that must show an action unit for a fold to learn it.
        groups: Number of groups of subjects that are held out together; `None` holds out one subject at a
            time.

    Returns:
        Corpus whose index has as `label` the number of a class, or action units as text (`AU4+AU7`, or
        `none`), and whose protocol has the corresponding `classes`.

    Raises:
        InputError: If the target is unknown, or samples cannot be labelled; see `Target.label`.
    """
    name, kind = corpus.protocol.name, find_target(target)
    index, classes = kind.label(corpus.index, corpus.protocol.classes, name, min_subjects, groups)
    if index is corpus.index:
        return corpus
    maps = corpus.flow_maps
    if maps is not None:
        maps = maps[corpus.index["sample_id"].isin(index["sample_id"]).to_numpy()]
    protocol = describe_protocol(name, index, classes, target)
    return replace(corpus, index=index, protocol=protocol, flow_maps=maps)


def find_edited_label(index: pd.DataFrame, protocol: Protocol) -> tuple[str, int, int] | None:
    """Find a single label whose change explains why an index does not match a protocol, by trying all labels.

    Args:
        index: Columns `sample_id` (each once), `subject`, `label`.
        protocol: Protocol, of which only the hash is known, not the labels.

    Returns:
        The sample, its label, and its label in the protocol; `None` if one label does not explain the
        difference.
    """
    labels = open_target(protocol).list_labels()
    starts = index[["sample_id", "subject"]].astype(str).agg("\0".join, axis=1)
    # Sample ids are unique, so that a label does not change the order of the rows.
    rows = sorted(zip(starts, index["label"], index["sample_id"], strict=True))
    lines = [f"{start}\0{label}" for start, label, _ in rows]
    for place, (start, label, sample_id) in enumerate(rows):
        for other in labels:
            changed = [*lines[:place], f"{start}\0{other}", *lines[place + 1 :]]
            if hashlib.sha256("\n".join(changed).encode()).hexdigest()[:16] == protocol.hash:
                return str(sample_id), int(label), other
    return None


def assert_counts(
    index: pd.DataFrame, classes: Sequence[str], expected: Mapping, source: str
) -> None:
    """Check that an index has the published counts of its protocol.

    Args:
        index: Columns `sample_id`, `corpus`, `subject`, `label`.
        classes: Class names in label order.
        expected: Published values, each optional: `samples` and `subjects` (totals), `corpus` and `class`
            (from name to number of samples), `hash` (of the protocol).
        source: File or folder that was read, for the message.

    Raises:
        InputError: If counts differ; the message lists them.
    """
    if not isinstance(expected.get("hash", ""), str):
        raise InputError(
            f"corpus.expected: the hash is {expected['hash']}, which is no text; put it in quotes"
        )
    label_names = index["label"].map(dict(enumerate(classes)))
    counts: dict[str, int | str] = {
        "samples": len(index),
        "subjects": index["subject"].nunique(),
        "hash": describe_protocol("", index, classes).hash,
    }
    counts |= {f"corpus {name}": int(n) for name, n in index["corpus"].value_counts().items()}
    counts |= {f"class {name}": int(n) for name, n in label_names.value_counts().items()}
    wanted: dict[str, int | str] = {}
    for key, value in expected.items():
        wanted |= (
            {f"{key} {k}": n for k, n in value.items()}
            if isinstance(value, Mapping)
            else {key: value}
        )
    for key, number in wanted.items():
        if key != "hash" and (isinstance(number, bool) or not isinstance(number, int)):
            name = key.replace(" ", ".")
            raise InputError(
                f"corpus.expected.{name}={number}; expected a whole number, or corpus.expected=null for none"
            )
    wrong = [
        f"{key}: {counts.get(key, 0)} found, {n} expected"
        for key, n in wanted.items()
        if counts.get(key, 0) != n
    ]
    if wrong:
        class_names = expected.get("class") or classes
        unknown = [name for name in classes if name not in class_names]
        # Where fewer are known, a number is expected of some classes only.
        if unknown and len(class_names) >= len(classes):
            raise InputError(
                f"corpus.classes has {', '.join(unknown)}, which the protocol of {source} has not; there are "
                f"{', '.join(class_names)}"
            )
        raise InputError(
            f"{source} does not hold the protocol's samples ({'; '.join(wrong)}); {WRONG_COUNTS}"
        )


def assert_same_protocol(a: Protocol, b: Protocol, name_a: str, name_b: str) -> None:
    """Check that two protocols are equal.

    Raises:
        InputError: If not; the message names the differences.
    """
    if a != b:
        remedy = "run both on one corpus with one class map, one split and one target"
        if a.name != b.name and a.name.removesuffix("-subset") == b.name.removesuffix("-subset"):
            remedy = (
                "samples were left out of one of them, as its train.log says; datamodule.require_depth=true "
                "leaves what has no usable depth out of datamodule=rgb, too"
            )
        raise InputError(
            f"{name_a} and {name_b} follow different protocols and cannot be compared: "
            f"{a.name} ({a.samples} samples, {a.subjects} subjects, {len(a.classes)} classes, "
            f"{a.hash}, {a.split}) and {b.name} ({b.samples} samples, {b.subjects} subjects, "
            f"{len(b.classes)} classes, {b.hash}, {b.split}); {remedy}"
        )
