"""A table in Markdown, LaTeX and for the terminal, with every cell escaped."""

import re

import rich.table
from rich.text import Text

from merec.reporting.tables import Table

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
    "\n": " ",
}


def escape_markdown(text: str) -> str:
    """Escape what GitHub's Markdown would read as markup, and keep a cell on its line."""
    # A bracket alone is no link, and `[.690, .788]` must stay legible in the source.
    text = re.sub(r"([\\|<>*_`#~&])", r"\\\1", text.replace("\n", " "))
    return text.replace("](", "]\\(")


def escape_latex(text: str) -> str:
    """Escape every character that has a meaning in LaTeX text."""
    return "".join(_LATEX.get(character, character) for character in text)


def write_markdown(table: Table) -> str:
    """A GitHub pipe table under its title and caption."""
    columns = list(table.rows)
    rules = ["---:" if table.is_numeric(column) else "---" for column in columns]
    lines = [columns, *table.rows.itertuples(index=False, name=None)]
    cells = ["| " + " | ".join(map(escape_markdown, line)) + " |" for line in lines]
    cells.insert(1, "|" + "|".join(rules) + "|")
    return f"## {table.title}\n\n{escape_markdown(table.caption)}\n\n" + "\n".join(cells) + "\n"


def write_latex(table: Table, label: str) -> str:
    r"""A LaTeX `table` with booktabs rules, to `\input`."""
    columns = list(table.rows)
    # A cell that starts with [ would be read as the optional argument of the \\ before it: hence {}.
    lines = [
        "{}" + " & ".join(map(escape_latex, line)) + r" \\"
        for line in table.rows.itertuples(index=False, name=None)
    ]
    alignment = "".join("r" if table.is_numeric(column) else "l" for column in columns)
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{escape_latex(table.title)}. {escape_latex(table.caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(map(escape_latex, columns)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def make_rich_table(table: Table) -> rich.table.Table:
    """A table for the terminal; brackets in cells are text, not rich's markup."""
    made = rich.table.Table(
        title=Text(table.title, style="bold"),
        caption=Text(table.caption),
        caption_justify="left",
        title_justify="left",
    )
    for column in table.rows:
        right = table.is_numeric(column)
        # Names may wrap; a broken number would be misread.
        made.add_column(Text(column), justify="right" if right else "left", no_wrap=right)
    previous = None
    for cells in table.rows.itertuples(index=False, name=None):
        if previous not in (None, cells[0]) and table.rows.iloc[:, 0].duplicated().any():
            made.add_section()
        made.add_row(*map(Text, cells))
        previous = cells[0]
    return made
