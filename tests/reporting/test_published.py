"""Published numbers are those of the reference table and no others."""

import re
from pathlib import Path

import pytest
import yaml

from merec.reporting.published import SOURCES, load_published

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared" / "reference" / "results.md"
PROTOCOLS = ("megc2019-cd", "casme3-3", "casme3-4", "casme3-7")
NUMBER = re.compile(r"\.\d+")


@pytest.fixture(scope="module")
def reference() -> list[str]:
    if not REFERENCE.exists():
        pytest.skip("the reference table is not part of the repository")
    return REFERENCE.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sources_are_checked_ones(protocol: str) -> None:
    rows = load_published(protocol).rows
    assert rows
    assert {row.source for row in rows} <= set(SOURCES) - {"LEAK"}
    assert len({row.method for row in rows}) == len(rows)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_number_source_and_leak_mark_is_that_of_the_reference(
    protocol: str, reference: list[str]
) -> None:
    section = "\n".join(reference).split("## ")[1 if protocol.startswith("megc") else 2]
    header = next(line for line in section.splitlines() if line.startswith("| method"))
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    names = {"smic": "SMIC", "casme2": "CASME II", "samm": "SAMM"}
    full = "Full" if protocol.startswith("megc") else f"{protocol[-1]} classes"
    for row in load_published(protocol).rows:
        line = next(x for x in section.splitlines() if x.startswith(f"| {row.method}"))
        cells = dict(zip(columns, (c.strip() for c in line.strip("|").split("|")), strict=True))
        remarks = line.strip("|").split("|")[-1]
        recorded = {key for key in ("Full", *names) if cells.get(names.get(key, full))}
        assert set(row.scores) == recorded
        for subset, printed in row.scores.items():
            assert printed == cells[names.get(subset, full)]
        assert remarks.strip()[0] == row.source
        assert row.leak == ("LEAK" in remarks)
        texts = [row.note, *(text for v in row.variants for text in v.scores.values())]
        assert set(NUMBER.findall(" ".join(texts))) <= set(NUMBER.findall(remarks))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_published_row_is_left_out(protocol: str, reference: list[str]) -> None:
    section = "\n".join(reference).split("## ")[1 if protocol.startswith("megc") else 2]
    place = 2 if protocol.startswith("megc") else {"3": 3, "4": 4, "7": 5}[protocol[-1]]
    lines = [line.split("|") for line in section.splitlines() if line.startswith("| ")][1:]
    wanted = [cells[1].strip() for cells in lines if cells[place].strip()]
    assert sum(1 for _ in wanted) == len(load_published(protocol).rows)


def test_notes_hold_no_number_the_reference_lacks(reference: list[str]) -> None:
    text = (ROOT / "merec" / "reporting" / "published.yaml").read_text(encoding="utf-8")
    for table in yaml.safe_load(text).values():
        assert set(NUMBER.findall(table["note"])) <= set(NUMBER.findall("\n".join(reference)))


def test_an_annotation_version_is_disregarded_and_the_unknown_has_no_rows() -> None:
    assert load_published("casme3-4@v2").rows == load_published("casme3-4").rows
    assert load_published("synthetic").rows == []


def test_a_network_stands_beside_the_number_of_the_code_that_pads_as_it_does() -> None:
    (row,) = [row for row in load_published("megc2019-cd").rows if row.backbone == "STSTNet"]
    assert "pads by 1" in row.note
    assert row.choose_version({"padding": 1}).scores["Full"] == ".7353/.7605"
    port = row.choose_version({"padding": 2})
    assert port.scores["Full"] == ".7209/.7250"
    assert "padding 2" in port.method
