"""Test that the composite corpus of frames has the samples and the hash of that of flow maps."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate

from merec.corpora import read_megc2019
from merec.errors import InputError

CLASSES = ["negative", "positive", "surprise"]
CASME2 = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units",
          "Estimated Emotion"]  # fmt: skip
SAMM = ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units",
        "Estimated Emotion"]  # fmt: skip
EMOTIONS = {
    "casme2": ["disgust", "happiness", "surprise"],
    "samm": ["Anger", "Happiness", "Surprise"],
}


@pytest.fixture
def data(
    tmp_path: Path,
    composite_rows: list[dict[str, str]],
    write_sheet: Callable[..., Path],
    touch: Callable[..., None],
) -> Path:
    """Write three data sets with the 442 samples of the list and some further samples."""
    sheets: dict[str, list[list[Any]]] = {"casme2": [], "samm": []}
    for row in composite_rows:
        label, subject = int(row["label"]), row["subject"]
        clip = row["sample_id"].removeprefix(f"{subject}_")
        if row["dataset"] == "smic":
            folder = tmp_path / "smic" / "HS" / subject / "micro" / CLASSES[label] / clip
            touch(folder, ["image000001.jpg", "image000009.jpg"])
            continue
        emotion = EMOTIONS[row["dataset"]][label]
        number = int(subject.removeprefix("sub"))
        sheets[row["dataset"]].append([number, clip, 10, 15, 30, "4", emotion])
    sheets["casme2"] += [
        [4, "EP12_01f", 261, "/", 321, "4", "disgust"],
        [5, "EP09_05f", 10, 10, 30, "4", "repression"],
        [1, "EP99", 10, 15, 30, "4", "others"],
        [1, "EP98", 10, 15, 30, "4", "fear"],
    ]
    sheets["samm"] += [[6, "006_9_9", 10, 15, 30, "4", "Other"]]
    write_sheet(tmp_path / "casme2" / "CASME2-coding-20140508.xlsx", CASME2, sheets["casme2"])
    write_sheet(tmp_path / "samm" / "SAMM_Micro_FACS_Codes_v2.xlsx", SAMM, sheets["samm"], above=13)
    return tmp_path


@pytest.fixture
def build(
    data: Path, composed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Return a function that builds `corpus=megc2019` from conf/."""
    monkeypatch.setenv("MEREC_DATA", str(data))

    def call(*overrides: str, **changes: Any) -> Any:
        cfg = composed("corpus=megc2019", *overrides)
        return instantiate(cfg.corpus, _convert_="all", **changes)

    return call


def test_the_composite_holds_the_samples_of_the_flow_maps(
    build: Callable[..., Any], composite_rows: list[dict[str, str]]
) -> None:
    corpus = build()
    assert corpus.protocol.hash == "19b782e804b25cce"
    assert corpus.protocol.name == "megc2019-cd"
    assert (corpus.protocol.samples, corpus.protocol.subjects) == (442, 68)
    assert set(corpus.index["sample_id"]) == {row["sample_id"] for row in composite_rows}
    assert corpus.index.groupby("corpus")["fps"].first().to_dict() == {
        "casme2": 200, "samm": 200, "smic": 100,
    }  # fmt: skip
    assert {finding.where.split(":")[0] for finding in corpus.findings} == {"casme2", "samm"}


def test_a_missing_clip_is_refused_or_noted(build: Callable[..., Any], data: Path) -> None:
    shutil.rmtree(data / "smic" / "HS" / "s03" / "micro" / "negative" / "s03_ne_01")
    with pytest.raises(
        Exception, match=r"smic: HS: samples: 163 found, 164 .*parts.smic.expected=null"
    ):
        build()
    corpus = build(lenient=True)
    assert len(corpus.index) == 441
    errors = [finding.where for finding in corpus.findings if finding.severity == "error"]
    assert errors == ["smic: HS", ""]


def test_a_subset_of_a_part_is_a_subset_of_the_whole(build: Callable[..., Any]) -> None:
    corpus = build("corpus.expected=null", "corpus.parts.smic.exclude=[s03_s03_ne_01]")
    assert corpus.protocol.name == "megc2019-cd-subset"
    assert corpus.protocol.samples == 441
    again = read_megc2019("megc2019-cd", CLASSES, {"whole": corpus}, {})
    assert again.protocol.name == "megc2019-cd-subset"


def test_another_edition_of_a_sheet_gives_another_protocol(
    build: Callable[..., Any], data: Path
) -> None:
    sheet = data / "casme2" / "CASME2-coding-20140508.xlsx"
    sheet.rename(sheet.with_name("CASME2-coding-20190701.xlsx"))
    assert build().protocol.name == "megc2019-cd@casme2-2019"


def test_parts_must_agree_on_classes_and_samples(build: Callable[..., Any]) -> None:
    part = build().index
    whole = build()
    with pytest.raises(InputError, match=r"parts.b has the classes negative, positive, surprise"):
        read_megc2019("x", ["positive", "negative", "surprise"], {"b": whole}, None)
    with pytest.raises(InputError, match=f"sample {part.at[0, 'sample_id']} is in two"):
        read_megc2019("x", CLASSES, {"a": whole, "b": whole}, None)
