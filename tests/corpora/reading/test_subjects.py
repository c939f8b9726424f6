"""Test that all spellings of a subject are one subject, so that it is in one part of a split only."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from merec.corpora.reading.subjects import CASME2, CASME3, SAMM, SMIC, Naming, spell_subject
from merec.errors import InputError
from merec.evaluation.splits import leave_one_subject_out
from merec.synthetic.annotation_plan import plan_annotation
from merec.types import Corpus

CASME2_FILE = "CASME2-coding-20140508.xlsx"
CASME2_HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units",
                 "Estimated Emotion"]  # fmt: skip
SAMM_FILE = "SAMM_Micro_FACS_Codes_v2.xlsx"
SAMM_HEADER = ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units",
               "Estimated Emotion"]  # fmt: skip
CASME3_FILE = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
CASME3_HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class",
                 "emotion"]  # fmt: skip
SPELLINGS = {
    "casme2": ("sub01", "Sub 01", "SUB1", "1", 1, 1.0, "1.0", "01", "subject 1", "sub-01", "１"),
    "samm": ("006", "6", 6, 6.0, "6.0", "sub06", "0006"),
    "casme3": ("spNO.1", "spNo.1", "spNO.01", "SPNO 1", "1", 1, "1.0", "sp no. 1", "spNO.1\u200b"),
}
Read = Callable[..., Corpus]
Sheet = Callable[..., Path]


def write(corpus: str, folder: Path, subjects: list[Any], write_sheet: Sheet) -> Path:
    """Write a sheet with one sample per entry of `subjects`."""
    times = [[f"c{n}", 10 + n, 20 + n, 30 + n, "12"] for n in range(len(subjects))]
    if corpus == "casme3":
        rows = [
            [subject, *rest, "I", "happy"] for subject, rest in zip(subjects, times, strict=True)
        ]
        return write_sheet(folder / CASME3_FILE, CASME3_HEADER, rows, "label")
    rows = [[subject, *rest, "happiness"] for subject, rest in zip(subjects, times, strict=True)]
    if corpus == "casme2":
        return write_sheet(folder / CASME2_FILE, CASME2_HEADER, rows)
    return write_sheet(folder / SAMM_FILE, SAMM_HEADER, rows)


@pytest.mark.parametrize("corpus", SPELLINGS)
def test_all_spellings_of_a_person_are_one_subject_on_one_side_of_each_split(
    corpus: str, tmp_path: Path, write_sheet: Sheet, read: Read
) -> None:
    people = [*SPELLINGS[corpus], *(23, 24)]
    write(corpus, tmp_path, people, write_sheet)
    index = read(corpus, tmp_path).index.sort_values("row")
    assert index["subject"].nunique() == 3
    same = np.arange(len(people)) < len(SPELLINGS[corpus])
    for fold in leave_one_subject_out(index["subject"].tolist()):
        assert not (same[fold.train].any() and same[fold.test].any())


@pytest.mark.parametrize("corpus", SPELLINGS)
def test_the_spellings_that_were_joined_are_listed(
    corpus: str, tmp_path: Path, write_sheet: Sheet, read: Read
) -> None:
    spellings = SPELLINGS[corpus][:4]
    write(corpus, tmp_path, [*spellings, 23], write_sheet)
    (note,) = [f for f in read(corpus, tmp_path).findings if f.kind == "one subject"]
    texts = {str(spelling).removesuffix(".0") for spelling in spellings}
    assert all(repr(text) in note.found for text in texts)
    assert "taken for one person" in note.remedy


def test_names_that_are_no_numbers_are_joined_where_they_differ_in_spelling_only(
    tmp_path: Path, write_sheet: Sheet, read: Read
) -> None:
    write("casme2", tmp_path, ["Anna B", "anna_b", "Anna", "A1", "B1", "1-1", "11"], write_sheet)
    subjects = read("casme2", tmp_path).index.sort_values("row")["subject"].tolist()
    assert subjects == ["Anna B", "Anna B", "Anna", "A1", "B1", "1-1", "sub11"]


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        (None, r"no subject \(cell A3\)"),
        ("nan", r"subject 'nan' \(cell A3\) is nobody"),
        (datetime.date(2014, 5, 8), r"subject \(cell A3\) is the date 2014-05-08"),
        ("#N/A", r"subject \(cell A3\) is the error #N/A"),
        (True, r"subject \(cell A3\) is the boolean TRUE"),
    ],
)
@pytest.mark.parametrize("corpus", SPELLINGS)
def test_a_row_without_a_subject_is_an_error_that_names_row_and_cell(
    corpus: str, subject: Any, message: str, tmp_path: Path, write_sheet: Sheet, read: Read
) -> None:
    write(corpus, tmp_path, [1, subject, 2], write_sheet)
    with pytest.raises(InputError, match=rf"row 1 from 0 \(row 3 of the sheet\).*: {message}"):
        read(corpus, tmp_path)
    lenient = read(corpus, tmp_path, lenient=True)
    assert len(lenient.index) == 2
    (error,) = [f for f in lenient.findings if f.severity == "error"]
    assert error.row == 1


@pytest.mark.parametrize("corpus", SPELLINGS)
def test_a_merged_subject_holds_for_all_rows_of_the_range(
    corpus: str, tmp_path: Path, write_sheet: Sheet, read: Read
) -> None:
    file = write(corpus, tmp_path, [1, None, None, 2, None], write_sheet)
    book = openpyxl.load_workbook(file)
    book.worksheets[0].merge_cells("A2:A4")
    book.worksheets[0].merge_cells("A5:A6")
    book.save(file)
    subjects = read(corpus, tmp_path).index.sort_values("row")["subject"].tolist()
    assert subjects[:3] == [subjects[0]] * 3
    assert subjects[3:] == [subjects[3]] * 2
    assert subjects[0] != subjects[3]


@pytest.mark.parametrize("naming", [CASME2, CASME3, SAMM, SMIC])
def test_spelling_a_name_twice_changes_nothing_and_keeps_numbers_apart(naming: Naming) -> None:
    names = [naming.spell(str(number)) for number in range(1, 300)]
    assert len({spell_subject(name) for name in names}) == 299
    assert [naming.spell(name) for name in names] == names


def test_subjects_of_different_data_sets_with_one_number_are_distinct() -> None:
    keys = {spell_subject(naming.spell("6")) for naming in (CASME2, SAMM, SMIC, CASME3)}
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("corpus", "folder", "clip"),
    [
        ("casme2", "CASME2-RAW/Sub 1", "c0"),
        ("samm", "6", "c0"),
        ("casme3", "spNo.01", "c0/color"),
        ("casme3", "Part_A_ME_clip/frame", "spNo.01_c0_10"),
    ],
)
def test_a_subjects_folder_is_found_in_any_spelling(
    corpus: str, folder: str, clip: str, tmp_path: Path, write_sheet: Sheet, read: Read
) -> None:
    write(corpus, tmp_path, [6 if corpus == "samm" else 1], write_sheet)
    frames = tmp_path / folder / clip
    frames.mkdir(parents=True)
    (frames / "img10.jpg").touch()
    assert read(corpus, tmp_path).index.at[0, "color"].folder == frames


def test_subjects_of_flow_maps_are_spelt_as_in_their_data_set(tmp_path: Path, read: Read) -> None:
    table = pd.DataFrame(
        {
            "sample_id": ["sub01_a", "006_b", "006_c", "s03_d"],
            "dataset": ["casme2", "samm", "samm", "smic"],
            "subject": ["Sub 1", "6", "006", "s3"],
            "filename": ["a", "b", "c", "d"],
            "label": 0,
        }
    )
    maps = np.zeros((4, 3, 28, 28), np.uint8)
    np.savez(tmp_path / "flow.npz", flow=maps, sample_id=table["sample_id"].to_numpy(str))

    def write_table(changed: pd.DataFrame) -> None:
        changed.to_csv(tmp_path / "samples.csv", index=False)

    write_table(table)
    index = read("megc2019_flow", tmp_path).index
    subjects = index.set_index("sample_id")["subject"]
    assert subjects[table["sample_id"]].tolist() == ["sub01", "006", "006", "s03"]
    for column, value, message in (
        *(("subject", "", "line 3: subject '' is empty"), ("subject", "nan", "line 3: .* nobody")),
        ("subject", "007", "line 3: sample 006_b is said to show 007"),
    ):
        changed = table.copy()
        changed.loc[1, column] = value
        write_table(changed)
        with pytest.raises(InputError, match=message):
            read("megc2019_flow", tmp_path)


BAD_NAMES = ["../out", "a/b", "/tmp/x", "..", "C:x", "a\\b", "x" * 300, "{0}", "=1+1"]


@pytest.mark.parametrize("corpus", SPELLINGS)
@pytest.mark.parametrize("column", ["subject", "clip"])
def test_a_name_that_is_a_path_is_refused_with_its_row(
    corpus: str, column: str, tmp_path: Path, write_sheet: Sheet, read: Read
) -> None:
    for name in BAD_NAMES:
        file = write(corpus, tmp_path, [1, 2, 3], write_sheet)
        book = openpyxl.load_workbook(file)
        cell = book.worksheets[0].cell(3, 1 if column == "subject" else 2)
        cell.value, cell.data_type = name, "s"
        book.save(file)
        with pytest.raises(InputError, match=r"row 3 of the sheet.*cell [AB]3") as error:
            read(corpus, tmp_path)
        assert "\n" not in str(error.value)
        lenient = read(corpus, tmp_path, lenient=True)
        assert len(lenient.index) == 2
        assert lenient.rejected is not None
        assert lenient.rejected.empty


@pytest.mark.parametrize("column", [1, 2])
def test_a_sheet_with_paths_as_names_is_not_rendered(
    column: int, tmp_path: Path, write_sheet: Sheet
) -> None:
    file = write("casme3", tmp_path / "sheet", [1, 2], write_sheet)
    book = openpyxl.load_workbook(file)
    book.worksheets[0].cell(3, column).value = "../../escaped"
    book.save(file)
    with pytest.raises(InputError, match=r"row 3 of the sheet.*escaped' \(cell [AB]3\) is a path"):
        plan_annotation(file, "key", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet"]


@pytest.mark.parametrize("key", ["root", "annotation"])
def test_a_name_that_no_file_can_have_is_reported(key: str, tmp_path: Path, read: Read) -> None:
    long = "x" * 300
    settings = {"annotation": long} if key == "annotation" else {}
    with pytest.raises(InputError, match=rf"corpus.{key}=.*x{{300}}"):
        read("casme3", tmp_path / (long if key == "root" else ""), **settings)
    with pytest.raises(InputError, match="annotation=x+ is no file"):
        plan_annotation(Path(long), "key", 0)
