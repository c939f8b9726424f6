"""The composite of MEGC2019 (See et al., FG 2019): CASME II, SAMM and SMIC in three classes, from frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from merec.corpora.assemble import assemble
from merec.types import Corpus, InputError


def read_megc2019(
    name: str,
    classes: Sequence[str],
    parts: Mapping[str, Corpus],
    expected: Mapping[str, Any] | None,
    lenient: bool = False,
) -> Corpus:
    """Put corpora with the same classes under one another; sample ids are those of `megc2019_flow`.

    Args:
        name: Name of the protocol.
        classes: Class names in label order.
        parts: Name of the data set → corpus; read them with `lenient` as it is here.
        expected: What to assert (see `assert_counts`); `None` to use a subset knowingly.
        lenient: Whether counts that differ become a finding instead of an exception.

    Raises:
        InputError: If a part has other classes, a sample is in two parts, or (unless `lenient`) counts are
            not the protocol's.
    """
    for part, corpus in parts.items():
        if corpus.protocol.classes != tuple(classes):
            raise InputError(
                f"corpus.parts.{part} has the classes {', '.join(corpus.protocol.classes)}; expected "
                f"{', '.join(classes)} in this order, as in corpus.classes"
            )
    index = pd.concat([corpus.index for corpus in parts.values()], ignore_index=True)
    twice = index["sample_id"].duplicated()
    if twice.any():
        sample_id = index.loc[twice, "sample_id"].iloc[0]
        raise InputError(f"sample {sample_id} is in two of corpus.parts; give each data set once")
    findings = [
        finding._replace(where=f"{part}: {finding.where}")
        for part, corpus in parts.items()
        for finding in corpus.findings
    ]
    subset = [corpus.protocol.name.endswith("-subset") for corpus in parts.values()]
    return assemble(
        index,
        name=name,
        classes=classes,
        expected=expected,
        subset=expected is None or any(subset),
        exclude={},
        source=" + ".join(parts),
        where="",
        doctor="megc2019",
        findings=findings,
        lenient=lenient,
    )
