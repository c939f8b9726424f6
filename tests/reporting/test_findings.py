"""Findings: shown by kind, cut only where a CSV or a remedy says more, and written whole."""

import io
from pathlib import Path

import pandas as pd
from rich.console import Console

from merec.corpora.doctor import Examination
from merec.evaluation.protocol import describe_protocol
from merec.reporting.findings import MOST, lay_out_findings, print_findings, write_findings
from merec.types import Corpus, Finding

MANY = [
    Finding("error", "missing frame", "a", row, f"s{row}", f"{row}", "copy it again")
    for row in range(MOST + 5)
]


def examination(*findings: Finding) -> Examination:
    index = pd.DataFrame(
        {"sample_id": ["x"], "corpus": ["c"], "subject": ["s"], "clip": ["c"], "label": [1]}
    )
    corpus = Corpus(describe_protocol("small", index, ("no", "yes")), index, None, ())
    return Examination(corpus, findings, 3, 40, 30, 20, 12, ("c",))


def test_of_many_findings_the_first_are_shown_with_their_remedy_once():
    table = lay_out_findings("error", "missing frame", MANY, Path("x.csv"))
    assert table.title == "error: missing frame (25)"
    assert len(table.rows) == MOST
    assert "What to do" not in table.columns
    assert table.caption == "What to do: copy it again. … and 5 more in the CSV."


def test_errata_are_shown_to_the_last_with_why():
    errata = [finding._replace(severity="note", kind="erratum") for finding in MANY]
    errata[0] = errata[0]._replace(remedy="taken as 5: a slip")
    table = lay_out_findings("note", "erratum", errata, None)
    assert len(table.rows) == len(MANY)
    assert table.rows["What to do"].iloc[0] == "taken as 5: a slip"


def test_the_summary_says_what_was_looked_at():
    page = io.StringIO()
    print_findings(examination(MANY[0]), None, Console(file=page, width=200))
    assert "error: missing frame (1)" in page.getvalue()
    assert "1 samples, 1 subjects; no 0, yes 1." in page.getvalue()
    assert (
        "of 40 frames from onset to offset 30 lie there in colour and 20 in depth"
        in page.getvalue()
    )
    assert "Of c only key frames lie there." in page.getvalue()
    assert "Found: 1 error." in page.getvalue()


def test_the_table_is_written_whole_with_empty_rows_where_there_is_none(tmp_path):
    file = tmp_path / "deep" / "found.csv"
    write_findings(file, [*MANY, MANY[0]._replace(row=None)])
    table = pd.read_csv(file, dtype={"row_from_0": "Int64"})
    assert len(table) == len(MANY) + 1
    assert table["row_from_0"].tolist()[:3] == [0, 1, 2]
    assert table["row_from_0"].isna().tolist()[-1]
    assert [path.name for path in file.parent.iterdir()] == ["found.csv"]
