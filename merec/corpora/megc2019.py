"""Composite of MEGC2019 (See et al., FG 2019): CASME II, SAMM and SMIC in three classes, from frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from merec.corpora.reading.assemble import assemble
from merec.corpora.reading.source import Source
from merec.types import Corpus, Finding, InputError


def read_megc2019(
    name: str,
    classes: Sequence[str],
    parts: Mapping[str, Corpus],
    expected: Mapping[str, Any] | None,
    lenient: bool = False,
) -> Corpus:
    """Concatenate corpora with the same classes; sample ids are equal to those of `megc2019_flow`.

    Args:
        name: Name of the protocol.
        classes: Class names in label order.
        parts: Name of the data set → corpus; parts must be read with `lenient`, so that their errors are
            reported here.
        expected: Counts to assert (see `assert_counts`); `None` to use a subset on purpose.
        lenient: Whether bad rows and wrong counts become findings instead of an exception.

    Raises:
        InputError: If a part has other classes, a sample is in two parts, or (unless `lenient`) a row of a
            part is bad or counts differ from the protocol.
    """
    for part, corpus in parts.items():
        if corpus.protocol.classes != tuple(classes):
            raise InputError(
                f"corpus.parts.{part} has the classes {', '.join(corpus.protocol.classes)}; expected "
                f"{', '.join(classes)} in this order, as in corpus.classes"
            )
    editions = [
        f"{part}-{edition}"
        for part, corpus in parts.items()
        if (edition := corpus.protocol.name.removesuffix("-subset").partition("@")[2])
    ]
    index = pd.concat([corpus.index for corpus in parts.values()], ignore_index=True)
    twice = index["sample_id"].duplicated()
    if twice.any():
        sample_id = index.loc[twice, "sample_id"].iloc[0]
        raise InputError(f"sample {sample_id} is in two of corpus.parts; give each data set once")
    findings = [
        _name_part(finding, part) for part, corpus in parts.items() for finding in corpus.findings
    ]
    rejected = [corpus.rejected for corpus in parts.values() if corpus.rejected is not None]
    return assemble(
        index,
        # Of other editions of the sheets it is another protocol, of which no counts are published.
        name=f"{name}@{'+'.join(editions)}" if editions else name,
        classes=classes,
        expected=None if expected is None else {name: expected},
        exclude={},
        source=Source(" + ".join(parts), "", "megc2019"),
        findings=findings,
        lenient=lenient,
        rejected=pd.concat(rejected, ignore_index=True) if rejected else None,
        subset=any(corpus.protocol.name.endswith("-subset") for corpus in parts.values()),
    )


def _name_part(finding: Finding, part: str) -> Finding:
    """Return the finding of a part with the place and the config keys of this part."""
    remedy = finding.remedy
    for key in ("expected", "exclude", "root"):
        remedy = remedy.replace(f"corpus.{key}", f"corpus.parts.{part}.{key}")
    return finding._replace(where=f"{part}: {finding.where}", remedy=remedy)
