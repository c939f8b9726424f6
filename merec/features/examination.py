"""Checks of the faces of a corpus and of their depth."""

from merec.features.failure_reasons import group_by_kind
from merec.features.prepare import FeatureStore
from merec.features.store import StopError
from merec.types import Corpus, Finding

_LOOK = "look at it: merec inspect SAMPLE corpus=…"


def examine_faces(corpus: Corpus, features: FeatureStore, jobs: int) -> list[Finding]:
    """Find faces and depth maps from which features cannot be computed reliably.

    A problem that more than half of the samples have is reported as one finding.

    Args:
        corpus: Corpus of frames.
        features: Feature store that may be written to.
        jobs: Processes; -1 for one per core.

    Returns:
        Findings of kind `unusable face` (none, several, small, turned), `unusable depth` (wrong unit,
        mirrored) or `doubtful face` (small, partly outside the frame).
    """
    try:
        table = features.prepare(corpus, jobs)
    except StopError as error:
        return [
            Finding("note", "faces not examined", "", None, "", str(error), "then examine again")
        ]
    pairs = features.list_pairs(corpus)
    numbers = [int(number) for number in corpus.index["row"]]
    findings = []
    for column, status, severity, kind in (
        ("reason", "failed", "error", "unusable face"),
        ("reason", "colour only", "error", "unusable depth"),
        ("note", None, "warning", "doubtful face"),
    ):
        texts = (
            table[column] if status is None else table[column].where(table["status"] == status, "")
        )
        for rows in group_by_kind(pairs, texts.tolist()):
            problem, _, remedy = texts[rows[0]].partition("; ")
            remedy = remedy or _LOOK
            if len(rows) > max(1, len(table) / 2):
                problem = f"{len(rows)} of {len(table)} samples, e.g. {pairs[rows[0]].sample_id}: {problem}"
                findings.append(Finding(severity, kind, "", None, "", problem, remedy))
                continue
            for row in rows:
                problem, _, remedy = texts[row].partition("; ")
                remedy = remedy or _LOOK
                where = str(pairs[row].color[0].parent)
                number = numbers[row]
                name = pairs[row].sample_id
                findings.append(Finding(severity, kind, where, number, name, problem, remedy))
    return findings
