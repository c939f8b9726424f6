"""Elements of a page: tables that sort, pictures that say what they show, and the page around them."""

import base64
import hashlib
from collections.abc import Collection, Mapping
from html import escape
from importlib.resources import files
from string import Template

from matplotlib.figure import Figure

from merec.presentation.figure_style import follow_theme, to_svg
from merec.presentation.notation import NOTHING, make_slugs, measure_cell
from merec.presentation.table import Table


def write_document(title: str, remark: str, lead: str, sections: Mapping[str, str]) -> str:
    """A page that needs no network: style, pictures and script are inside, and nothing else may run.

    Args:
        title: What it is about, as text.
        remark: What must be known first, as text; empty if nothing must.
        lead: A sentence below it, as text.
        sections: Their HTML by title; an empty one is left out.
    """
    sections = {name: body for name, body in sections.items() if body}
    anchors = {name: name.lower().replace(" ", "-") for name in sections}
    folder = files("merec.reporting")
    template, style, script = (
        folder.joinpath(f"page.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(template).substitute(
        # Styles of SVG are attributes, which no hash can name; of scripts this one alone may run.
        policy="default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'",
        style=style,
        script=script,
        title=escape(title),
        remark=f'\n<p class="remark">{escape(remark)}</p>' if remark else "",
        lead=escape(lead),
        contents=" ".join(f'<a href="#{anchors[name]}">{escape(name)}</a>' for name in sections),
        sections="\n".join(
            f'<section id="{anchors[name]}">\n<h2>{escape(name)}</h2>\n{body}\n</section>'
            for name, body in sections.items()
        ),
    )


def write_list(items: Collection[str]) -> str:
    """Write texts as a list; empty if there are none."""
    rows = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{rows}</ul>" if items else ""


def write_figure(figure: Figure, alt: str, caption: str, prefix: str) -> str:
    """A picture in the page's colours, with what it shows in words.

    Args:
        figure: What to show.
        alt: Says it, with the main numbers, to who cannot see it.
        caption: Says how to read it.
        prefix: Tells its ids from those of others.
    """
    svg = follow_theme(to_svg(figure, "".join(c if c.isalnum() else "-" for c in prefix)))
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
    return f"<figure>\n{svg}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def write_table(
    table: Table,
    ours: Collection[str] = (),
    links: Mapping[tuple[int, str], str] | None = None,
    about: str = "",
) -> str:
    """A table whose every cell is escaped, sorted by a click on a heading.

    Args:
        table: What to write; columns whose every cell starts with a number sort as numbers.
        ours: Rows that start with one of these stand out.
        links: Where cells lead to, by row from 0 and column.
        about: The id of a paragraph that stands for the caption, so that it is not written again.
    """
    described = about or f"about-{make_slugs([table.title])[0]}"
    caption = (
        f'<p class="caption" id="{described}">{escape(table.caption)}</p>\n' if not about else ""
    )
    marks = [' class="number"' if table.is_numeric(column) else "" for column in table.columns]
    measured = {column: _measure_column(table, column) for column in table.columns}
    head = "".join(
        f'<th scope="col"{mark}>{escape(column)}</th>'
        for column, mark in zip(table.columns, marks, strict=True)
    )
    body = []
    for number, cells in enumerate(table.cells):
        row = []
        for column, cell, mark in zip(table.columns, cells, marks, strict=True):
            value = measured[column].get(cell)
            key = "" if value is None else f' data-value="{value:.12g}"'
            target = (links or {}).get((number, column))
            text = f'<a href="{escape(target)}">{escape(cell)}</a>' if target else escape(cell)
            row.append(f"<td{mark}{key}>{text}</td>")
        body.append(('<tr class="ours">' if cells[0] in ours else "<tr>") + "".join(row) + "</tr>")
    return (
        f'{caption}<div class="wide"><table aria-label="{escape(table.title)}" '
        f'aria-describedby="{described}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody>\n</table></div>"
    )


def _measure_column(table: Table, column: str) -> dict[str, float]:
    """What each cell of a column is sorted by; nothing unless all of them start with a number."""
    cells = {cell for cell in table.rows[column] if cell and not cell.startswith(NOTHING)}
    found = {cell: measure_cell(cell) for cell in cells}
    values = {cell: value for cell, value in found.items() if value is not None}
    return values if len(values) == len(found) else {}
