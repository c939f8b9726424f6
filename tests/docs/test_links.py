"""Relative links of the pages: each names a file that exists and a heading of that file."""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import markdown
import pytest

ROOT = Path(__file__).parents[2]
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
PAGES = sorted(
    path
    for path in (
        *(ROOT / name for name in TOP),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*/README.md"),
    )
    if path.exists()
)


class Links(HTMLParser):
    """Targets and ids of a rendered page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            elif name == "src" or (name == "href" and tag == "a"):
                self.targets.append(value or "")


@cache
def links(path: Path) -> Links:
    parsed = Links()
    extensions = ["tables", "toc", "attr_list", "def_list", "pymdownx.superfences"]
    parsed.feed(markdown.markdown(path.read_text(encoding="utf-8"), extensions=extensions))
    return parsed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_name_a_file_and_a_heading_of_it(page):
    broken = []
    for target in links(page).targets:
        parts = urlsplit(target)
        if parts.scheme:
            continue
        linked = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        # Headings of the reference are made by mkdocstrings; the strict build checks them.
        generated = linked.suffix != ".md" or "reference" in linked.parts
        if not linked.exists():
            broken.append(f"{target}: no such file")
        elif parts.fragment and not generated and parts.fragment not in links(linked).ids:
            broken.append(f"{target}: no such heading")
    assert not broken
