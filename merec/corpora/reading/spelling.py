"""Correction of the spelling of names and emotions in an annotation."""

from collections.abc import Mapping

import pandas as pd

from merec.types import Finding


def mend_spelling(
    texts: pd.Series, mended: pd.Series, what: str, where: str
) -> tuple[pd.Series, list[Finding]]:
    """Replace misspelt values; one note counts each wrong spelling in the sheet."""
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
    """Convert emotions to lower case and replace official variants; note if a table mixes spellings."""
    plain = texts.str.casefold()
    mended = plain.map(lambda text: spellings.get(text, text))
    usual = texts.groupby(mended).agg(lambda same: same.value_counts().index[0])
    return mended, mend_spelling(texts, mended.map(usual), "classes", where)[1]
