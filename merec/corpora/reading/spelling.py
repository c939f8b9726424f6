"""Mend the spelling of names and emotions in an annotation."""

from collections.abc import Mapping

import pandas as pd

from merec.types import Finding


def mend_spelling(
    texts: pd.Series, mended: pd.Series, what: str, where: str
) -> tuple[pd.Series, list[Finding]]:
    """Take the mended spelling; one note says how often each other spelling stood there."""
    changed = texts[texts != mended]
    if changed.empty:
        return mended, []
    counts = (changed + " → " + mended[changed.index]).value_counts()
    changes = "; ".join(f"{change} ({number}×)" for change, number in counts.head(4).items())
    more = f"; and {len(counts) - 4} more" if len(counts) > 4 else ""
    problem = f"{len(changed)} of {len(texts)} rows: {changes}{more}"
    note = Finding("note", f"spelling of {what}", where, None, "", problem, "mended; nothing to do")
    return mended, [note]


def mend_emotions(
    texts: pd.Series, spellings: Mapping[str, str], where: str
) -> tuple[pd.Series, list[Finding]]:
    """Lower case, and the official variants in `spellings`; noted where a table spells in two ways."""
    plain = texts.str.casefold()
    mended = plain.map(lambda text: spellings.get(text, text))
    usual = texts.groupby(mended).agg(lambda same: same.value_counts().index[0])
    return mended, mend_spelling(texts, mended.map(usual), "classes", where)[1]
