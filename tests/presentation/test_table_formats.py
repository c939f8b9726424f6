"""Whatever a cell holds, it is text."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from merec.presentation.table import Table
from merec.presentation.table_formats import (
    escape_latex,
    escape_markdown,
    print_table,
    write_latex,
    write_markdown,
)

NASTY = r"a_b & <i>c</i> 100% #1 $x$ {y} ~z ^w \q | [red]d[/red] ] – − ± ≤"


@pytest.fixture
def table() -> Table:
    rows = pd.DataFrame(
        {
            "Method": [NASTY, "[first] bracket"],
            "UF1": [".7412 [.690, .788]", "–"],
            "n": ["442", "7"],
        }
    )
    return Table("Scores & more", "Protocol x_y, 95 % interval.", rows)


def test_latex_holds_no_unescaped_special_character(table: Table) -> None:
    bare = re.compile(r"(?<!\\)[#%_]|(?<!\\)&(?! )|[|<>]")
    assert not bare.search(escape_latex(NASTY).replace(r"\\", ""))
    body = write_latex(table, "scores").split(r"\midrule")[1].split(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line]
    assert all(len(re.findall(r"(?<!\\)&", line)) == 2 for line in lines)
    assert all(line.startswith("{}") and line.endswith(r"\\") for line in lines)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex on this machine")
def test_latex_compiles(table: Table, tmp_path: Path) -> None:
    document = (
        r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{t}\end{document}"
    )
    (tmp_path / "t.tex").write_text(write_latex(table, "scores"), encoding="utf-8")
    (tmp_path / "d.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if "booktabs.sty' not found" in done.stdout:
        pytest.skip("this LaTeX has no booktabs")
    assert done.returncode == 0, done.stdout[-2000:]


def test_markdown_keeps_every_row_on_a_line_with_its_columns(table: Table) -> None:
    text = write_markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table.rows)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
    assert "<i>" not in text
    assert escape_markdown("[x](y)") == "[x]\\(y)"
    assert lines[1] == "|---|---:|---:|"


def test_terminal_shows_brackets_and_never_cuts_a_number(table: Table) -> None:
    for width in (30, 200):
        console = Console(file=io.StringIO(), width=width)
        print_table(console, table)
        text = console.file.getvalue()
        assert ".7412 [.690, .788]" in text
        assert "…" not in text
        assert "[red]d[/red]" in text


def test_numbers_stand_to_the_right_and_names_to_the_left(table: Table) -> None:
    assert [table.is_numeric(column) for column in table.rows] == [False, True, True]
