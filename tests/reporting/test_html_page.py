"""The page is well formed, needs nothing from elsewhere, and shows names as text."""

from html.parser import HTMLParser

import pytest

from merec.reporting.page import leave_out

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks nesting while it collects tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.texts: dict[str, str] = {}
        self.last = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.last = dict(attrs).get("id", "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        self.texts[self.last] = self.texts.get(self.last, "") + data


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page((report.folder / "report.html").read_text(encoding="utf-8"))


def test_every_tag_is_closed_and_every_id_unique(page: Page) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_nothing_comes_from_elsewhere(page: Page) -> None:
    for tag, attrs in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}
        for name, value in attrs.items():
            if name in {"src", "href", "xlink:href", "action", "data", "srcset"}:
                assert value.startswith("#")
            elif not name.startswith("xmlns"):
                assert "url(" not in (value or "").replace("url(#", "")
                assert "://" not in (value or "")
    assert "@import" not in "".join(page.text)


def test_the_title_says_how_was_split(page: Page) -> None:
    assert "megc2019-cd, leave-one-subject-out" in "".join(page.text)


def test_every_picture_says_what_it_shows(page: Page) -> None:
    pictures = [attrs for tag, attrs in page.tags if tag == "svg"]
    # controls, optimism, bars, confusions, reliability, subjects, curves
    assert len(pictures) == 1 + 1 + 1 + 2 + 1 + 1 + 1
    assert all(p["role"] == "img" and len(p["aria-label"]) > 20 for p in pictures)


def test_every_table_is_named_and_described_and_the_protocol_named_once(page: Page) -> None:
    tables = [attrs for tag, attrs in page.tags if tag == "table"]
    assert len(tables) >= 6
    for table in tables:
        assert table["aria-label"]
        assert len(page.texts[table["aria-describedby"]]) > 20
    assert "".join(page.text).count("Protocol megc2019-cd") == 1


def test_a_caption_keeps_what_the_lead_does_not_say() -> None:
    protocol = "Protocol a@1 (0f; 4 samples, 2 subjects, 3 classes), leave-one-subject-out"
    lead = f"{protocol}; seeds 0; transductive pretraining: no. Remark: small."
    assert leave_out(f"{lead} UF1 of each fold.", lead) == "UF1 of each fold."
    rest = f"{protocol}; seeds 1, 2; transductive pretraining: no. Remark: small. UF1."
    assert leave_out(rest, lead) == "Seeds 1, 2; transductive pretraining: no. UF1."
    assert leave_out(rest.replace("a@1", "b@1"), lead).startswith("Protocol b@1")
    assert leave_out(lead, lead) == "Protocol and seeds: see the top of the page."


def test_names_are_text(page: Page) -> None:
    assert "rbf_svm & <b>friends</b> 100%" in page.text
    assert "b" not in {tag for tag, _ in page.tags}


def test_provenance_is_shown(page: Page) -> None:
    text = "".join(page.text)
    for fact in ("merec train task=loso", "0123456789ab", "python 3.11, numpy 2.4"):
        assert fact in text


def test_links_of_the_contents_lead_somewhere(page: Page) -> None:
    ids = {attrs.get("id") for _, attrs in page.tags}
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert len(links) == 14 + 7  # sections, and every subject's samples
    assert {link[1:] for link in links} <= ids


def test_a_report_of_baselines_alone_has_no_curves_and_no_optimism(plain) -> None:
    page = Page((plain.folder / "report.html").read_text(encoding="utf-8"))
    sections = {attrs["id"] for tag, attrs in page.tags if tag == "section"}
    absent = {"learning-curves", "honest-and-best-epoch-on-test", "published-numbers"}
    assert sections <= {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    assert sections.isdisjoint(absent)
    assert len(sections) == 9
