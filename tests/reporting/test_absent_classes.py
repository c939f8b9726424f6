"""Reports name a class without samples beside every score that it lowers."""

import io

import pandas as pd
import pytest
from rich.console import Console

from merec.reporting.report import write_report


@pytest.fixture(scope="module")
def written(tmp_path_factory, make_index, write_run):
    """Two data sets of which one lacks `surprise`, and the same without `surprise` at all."""

    def write(drop_everywhere: bool):
        index = make_index({"casme2": 4, "smic": 3})
        lacks = index["label"] == 2
        lacks &= drop_everywhere | (index["corpus"] == "smic")
        index.loc[lacks, "label"] = 0
        root = tmp_path_factory.mktemp("absent")
        write_run(root / "run", index)
        console = Console(file=io.StringIO(), width=200)
        write_report([root / "run"], root / "report", published=True, console=console)
        return root / "report", console.file.getvalue()

    return {name: write(name == "everywhere") for name in ("everywhere", "smic")}


def test_the_class_its_ceiling_and_the_score_without_it_stand_beside_uf1(written):
    folder, printed = written["everywhere"]
    table = pd.read_csv(folder / "table.csv", keep_default_na=False)
    assert (table["absent"] == "surprise").all()
    assert table["present_uf1"].tolist() == pytest.approx((table["uf1"] * 3 / 2).tolist())
    assert "(no surprise)" in printed
    for text in (printed.replace("\n", " "), (folder / "table.md").read_text()):
        assert "no sample is of class surprise" in text
        assert "cannot exceed 2/3 = 0.667" in text
    assert "no sample is of class surprise" in (folder / "report.html").read_text()
    full = table[table["subset"] == "Full"].iloc[0]
    assert f"{full['present_uf1']:.4f}".removeprefix("0") in printed


def test_a_data_set_that_lacks_a_class_is_named_and_the_others_are_not(written):
    folder, printed = written["smic"]
    table = pd.read_csv(folder / "table.csv", keep_default_na=False).set_index("subset")
    assert table["absent"].to_dict() == {"Full": "", "casme2": "", "smic": "surprise"}
    assert table.loc["Full", "present_uf1"] == pytest.approx(table.loc["Full", "uf1"])
    assert "Of SMIC, no sample is of class surprise" in " ".join(printed.split())


def test_where_no_class_is_absent_nothing_is_said(report):
    assert "no sample is of class" not in report.printed
    assert "Present classes" not in report.printed
