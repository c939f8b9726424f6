"""HTML pages from the templates in `html/`; each class of parts has a template."""

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import partial
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from merec.presentation.figure_style import follow_theme, to_svg
from merec.presentation.numbers_and_captions import NOTHING, make_slugs, measure_cell
from merec.presentation.table import Table
from merec.studies.answer import Answer, Picture


class Column(NamedTuple):
    """Column of a table; `values` are the sort keys of its cells, if all cells start with a number."""

    title: str
    is_numeric: bool
    values: dict[str, float]


def write_page(title: str, remark: str, lead: str, answers: Iterable[Answer]) -> str:
    """Write a self-contained page with style, pictures and script.

    Args:
        title: Title of the page.
        remark: Remark at the top, may be empty.
        lead: Sentence below the remark.
        answers: Sections of the page; sections without parts are left out.
    """
    parts_by_title = {answer.title: list(filter(None, answer.parts)) for answer in answers}
    sections = {heading: parts for heading, parts in parts_by_title.items() if parts}
    style, script = (
        files("merec.reporting").joinpath("html", f"page.{kind}").read_text(encoding="utf-8")
        for kind in ("css", "js")
    )
    return fill(
        "page.html",
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(style),
        script=Markup(script),
        title=title,
        remark=remark,
        lead=lead,
        sections=sections,
    )


def leave_out(caption: str, lead: str) -> str:
    """Return a caption without the sentences that are already in the lead of the page."""
    sentences, in_lead = _split_sentences(caption), {*_split_sentences(lead)}
    rest = " ".join(sentence for sentence in sentences if sentence not in in_lead)
    return rest or (caption and "Protocol and seeds: see the top of the page.")


def _split_sentences(text: str) -> list[str]:
    """Split a caption into sentences; the first one is also split into protocol and seeds."""
    match = re.match(r"(Protocol .*?\), [^;]*); (seeds .*)", text)
    parts = [f"{match[1]}.", f"{match[2][0].upper()}{match[2][1:]}"] if match else [text]
    return [*parts[:-1], *re.split(r"(?<=\.) (?=[A-Z\d])", parts[-1])]


def fill(template: str, **values: Any) -> str:
    """Fill a template of `html/`; every text is escaped."""
    environment = Environment(
        loader=PackageLoader("merec.reporting", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "anchor": lambda heading: heading.lower().replace(" ", "-"),
        "columns": list_columns,
        "shorten": partial(leave_out, lead=values.get("lead", "")),
        "slug": lambda text: make_slugs([text])[0],
        "svg": write_svg,
        "template": lambda part: f"{type(part).__name__.lower()}.html",
    }
    return environment.get_template(template).render(values)


def write_svg(picture: Picture) -> Markup:
    """Write a picture in the colours of the page, with its description as accessible name."""
    prefix = "".join(c if c.isalnum() else "-" for c in picture.name)
    svg = follow_theme(to_svg(picture.figure, prefix))
    start = Markup('<svg role="img" aria-label="{}" ').format(picture.alt)
    return start + Markup(svg.removeprefix("<svg "))


def list_columns(table: Table) -> list[Column]:
    """List the columns of a table for the template of tables."""
    return [Column(name, table.is_numeric(name), _measure(table, name)) for name in table.columns]


def _measure(table: Table, column: str) -> dict[str, float]:
    """Return the sort keys of a column; empty unless all cells start with a number."""
    cells = {cell for cell in table.rows[column] if cell and not cell.startswith(NOTHING)}
    values = {cell: value for cell in cells if (value := measure_cell(cell)) is not None}
    return values if len(values) == len(cells) else {}
