"""Classes of a protocol without samples, or with samples of one subject only."""

from collections.abc import Iterator

from merec.targets.absent_classes import describe_absent_classes, find_absent_classes
from merec.types import Corpus, Finding


def judge_classes(corpus: Corpus) -> Iterator[Finding]:
    """Find classes without samples, or with samples of only one subject."""
    index, classes = corpus.index, corpus.protocol.classes
    if index.empty:
        return
    absent = find_absent_classes(index["label"].to_numpy(), classes)
    if absent:
        problem = describe_absent_classes(absent, classes)
        remedy = "expected samples of every class; take a list that has them, or corpus.classes without it"
        yield Finding("warning", "class without samples", "", None, "", problem, remedy)
    for name, rows in index.groupby("corpus"):
        missing = find_absent_classes(rows["label"].to_numpy(), classes)
        if len(missing) > len(absent):
            problem = f"{name} alone: {describe_absent_classes(missing, classes)}"
            remedy = "its own UF1 and UAR are to be read with this in mind"
            yield Finding("note", "class without samples", "", None, "", problem, remedy)
    for label, rows in index.groupby("label"):
        subjects = rows["subject"].unique()
        if len(subjects) == 1:
            problem = f"class {classes[int(label)]} is shown by {subjects[0]} alone"
            remedy = "whoever holds this subject out cannot train on the class, so its F1 is 0"
            yield Finding("warning", "class of one subject", "", None, "", problem, remedy)
