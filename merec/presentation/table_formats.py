"""Tables in Markdown, LaTeX and for the terminal, with escaped cells."""

import re
from collections.abc import Sequence

import rich.box
import rich.table
from rich.console import Console
from rich.text import Text

from merec.presentation.table import Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "³": r"\textsuperscript{3}",
    "…": r"\ldots{}",
    "≤": r"$\leq$",
    "\N{NO-BREAK SPACE}": "~",
    "\n": " ",
}


def escape_markdown(text: str) -> str:
    """Escape the markup of GitHub's Markdown, and keep a cell on one line."""
    # A bracket alone is no link, and `[.690, .788]` must stay legible in the source.
    text = re.sub(r"([\\|<>*_`#~&])", r"\\\1", text.replace("\n", " "))
    return text.replace("](", "]\\(")


def escape_latex(text: str) -> str:
    """Escape the special characters of LaTeX."""
    return "".join(_LATEX.get(character, character) for character in text)


def write_markdown(table: Table) -> str:
    """Write a GitHub pipe table below its title and caption."""
    rules = ["---:" if table.is_numeric(column) else "---" for column in table.columns]
    lines = [table.columns, *table.cells]
    cells = ["| " + " | ".join(map(escape_markdown, line)) + " |" for line in lines]
    cells.insert(1, "|" + "|".join(rules) + "|")
    return f"## {table.title}\n\n{escape_markdown(table.caption)}\n\n" + "\n".join(cells) + "\n"


def write_notes(notes: Sequence[str]) -> str:
    """Write notes as a list in Markdown; empty if there are none."""
    lines = "\n".join(f"- {escape_markdown(note)}" for note in notes)
    return f"## Notes\n\n{lines}\n" if notes else ""


def write_latex(table: Table, label: str) -> str:
    r"""Write a LaTeX `table` with booktabs rules, to `\input`."""
    # A cell that starts with [ would be read as an argument of the \\ before it: hence {}.
    lines = ["{}" + " & ".join(map(escape_latex, line)) + r" \\" for line in table.cells]
    alignment = "".join("r" if table.is_numeric(column) else "l" for column in table.columns)
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{escape_latex(table.title)}. {escape_latex(table.caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(map(escape_latex, table.columns)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def make_rich_table(table: Table) -> rich.table.Table:
    """Return a table for the terminal; brackets in cells are not interpreted as markup of rich."""
    made = rich.table.Table(
        box=rich.box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=Text(table.title, style="bold"),
        caption=Text(table.caption),
        caption_justify="left",
        title_justify="left",
    )
    for column in table.columns:
        right = table.is_numeric(column)
        # Names may wrap, nothing is cut; a number on two lines would be misread.
        cells = table.rows[column]
        words = cells if right else cells.str.split().explode().dropna()
        made.add_column(
            Text(column),
            justify="right" if right else "left",
            overflow="fold",
            min_width=min(max(map(len, words), default=1), 24),
        )
    for row in table.cells:
        made.add_row(*map(Text, row))
    return made


def print_table(console: Console, table: Table) -> None:
    """Print a table with all columns, even if the terminal is too narrow."""
    made = make_rich_table(table)
    console.print(made, width=max(console.width, console.measure(made).minimum), crop=False)
