"""Macro-expressions of a corpus as a separate corpus."""

import pandas as pd

from merec.corpora.casme3_lists import MACRO_FILE
from merec.corpora.reading.subjects import spell_subject
from merec.evaluation.protocol import describe_protocol
from merec.targets import open_target
from merec.types import Corpus, InputError


def make_macro_corpus(corpus: Corpus) -> Corpus:
    """Return the labelled macro-expressions of a corpus, with the same classes or action units.

    Subjects are spelt as in `corpus.index`, so that a held-out subject is left out of both.

    Returns:
        Corpus with the protocol `…-macro`.

    Raises:
        InputError: If there are no macro-expressions of these classes, or no coded action units.
    """
    name, classes = corpus.protocol.name, corpus.protocol.classes
    if corpus.macro is None or corpus.macro.empty:
        raise InputError(
            f"{name} has no macro-expressions of the classes {', '.join(classes)}; put {MACRO_FILE} beside "
            "its annotation, take corpus.annotation=full, whose sheet holds some, or render some: "
            "merec synthesize macro=N, or corpus.render.macro=N where no "
            "corpus.root is given"
        )
    index = respell_subjects(corpus.macro, corpus)
    labelled = open_target(corpus.protocol).label_others(index, f"{name}-macro")
    if labelled.empty:
        raise InputError(
            f"{name} has {len(index)} macro-expressions, but nothing names their emotions; put "
            f"{MACRO_FILE} beside its annotation, or set task.target=action_units, if these are coded"
        )
    protocol = describe_protocol(f"{name}-macro", labelled, classes, corpus.protocol.target)
    return Corpus(protocol, labelled, None, (), corpus.camera, key_frames=corpus.key_frames)


def respell_subjects(table: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """Return a table of other samples with subjects spelt as in the index of a corpus."""
    spelling_of = {spell_subject(subject): subject for subject in corpus.index["subject"].unique()}
    return table.assign(
        subject=table["subject"].map(
            lambda spelling: spelling_of.get(spell_subject(spelling), spelling)
        )
    )
