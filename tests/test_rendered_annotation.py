"""Test that a rendered annotation of ten real subjects passes through every command like real frames."""

from pathlib import Path

import pandas as pd
import pytest

SHEET = Path(__file__).parents[2] / "shared/data/casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"


@pytest.mark.slow
def test_the_rows_of_ten_subjects_are_rendered_examined_prepared_and_inspected(merec, tmp_path):
    if not SHEET.exists():
        pytest.skip(f"the official annotation is not in {SHEET.parent}")
    whole = pd.read_excel(SHEET)
    subjects = whole["Subject"].unique()[::9][:10]
    rows = whole[whole["Subject"].isin(subjects)]
    rows.to_excel(tmp_path / "ten.xlsx", index=False)

    def call(*arguments: str) -> str:
        done = merec(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(
        "synthesize",
        f"root={tmp_path / 'corpus'}",
        "annotation=ten.xlsx",
        "width=480",
        "height=360",
    )
    choice = ("corpus=synthetic", f"corpus.root={tmp_path / 'corpus'}")
    call("doctor", *choice)
    call("prepare", *choice, f"features.root={tmp_path / 'store'}", "strict=true")
    table = pd.read_csv("runs/prepare/synthetic.csv")
    assert len(table) == len(rows)
    assert table["status"].eq("ready").all()
    output = call("inspect", table["sample_id"][0], *choice, f"features.root={tmp_path / 'store'}")
    assert [Path(line).suffix for line in output.split()] == [".png", ".html"]
