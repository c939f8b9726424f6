"""Test that SMIC-HS is read from its folders, with the middle frame as apex."""

from collections.abc import Callable
from pathlib import Path

import pytest

from merec.errors import InputError
from merec.types import Corpus

Read = Callable[..., Corpus]
Touch = Callable[..., None]
CLIPS = {
    "s3/micro/negative/s3_ne_01": [f"image{number:06d}.jpg" for number in range(823, 834)],
    "s03b/micro/negative/s03_ne_09": ["image1.jpg"],  # not the folder of a subject
    "s04/micro/positive/s04_po_01": ["reg_image0012.bmp", "reg_image0013.bmp", "Thumbs.db"],
    "s04/micro/surprise/s04_sur_02": ["reg_image5.bmp", "reg_image9.bmp"],
    "s04/non_micro/s04_01": ["reg_image5.bmp"],
}


@pytest.fixture
def made(tmp_path: Path, touch: Touch) -> Callable[..., Path]:
    """Make clips of empty frames."""

    def make(clips: dict[str, list[str]] = CLIPS, base: str = "HS") -> Path:
        for clip, names in clips.items():
            touch(tmp_path / base / clip, names)
        return tmp_path

    return make


@pytest.mark.parametrize("base", ["HS", "hs", "SMIC_all_raw/HS", "."])
def test_folders_become_samples_named_as_in_megc2019(
    made: Callable[..., Path], read: Read, base: str
) -> None:
    corpus = read("smic", made(base=base))
    index = corpus.index
    assert corpus.protocol.name == "smic-3"
    assert index["sample_id"].tolist() == ["s03_s03_ne_01", "s04_s04_po_01", "s04_s04_sur_02"]
    assert index["subject"].tolist() == ["s03", "s04", "s04"]
    assert index["label"].tolist() == [0, 1, 2]
    assert (index["fps"] == 100).all()


def test_the_apex_is_the_existing_frame_nearest_to_the_middle(
    made: Callable[..., Path], read: Read
) -> None:
    index = read("smic", made()).index
    assert index.loc[0, ["onset", "apex", "offset"]].tolist() == [823, 828, 833]
    assert index.loc[2, ["onset", "apex", "offset"]].tolist() == [5, 9, 9]  # 7 is absent
    for row in index.to_dict("records"):
        assert row["color"].path(row["apex"]).exists()


def test_bad_folders_are_refused_or_left_out(made: Callable[..., Path], read: Read) -> None:
    clips = {
        **CLIPS,
        "s04/micro/negativ/s04_ne_01": ["image1.jpg"],
        "s04/micro/positive/s04_po_02": [],
        "s04/micro/positive/s05_po_03": ["image1.jpg"],
        "s04/micro/positive/s4_po_01": ["image1.jpg"],
    }
    root = made(clips)
    with pytest.raises(InputError, match="folder negativ; expected the folders negative, positive"):
        read("smic", root)
    corpus = read("smic", root, lenient=True)
    assert len(corpus.index) == 3
    duplicate = "s04_s04_po_01"
    left = read("smic", root, exclude=[duplicate, "s04_s04_po_02"], lenient=True)
    kinds = {finding.kind for finding in left.findings if finding.severity == "error"}
    assert kinds == {"unknown class", "clip name"}
    errors = {finding.where: finding.kind for finding in corpus.findings}
    assert errors == {
        "HS/s04/micro/negativ": "unknown class",
        "HS/s04/micro/positive/s04_po_02": "no frames",
        "HS/s04/micro/positive/s05_po_03": "clip name",
        "HS/s04/micro/positive/s4_po_01": "duplicate",
    }


def test_samples_can_be_excluded(made: Callable[..., Path], read: Read) -> None:
    corpus = read("smic", made(), exclude=["s03_s03_ne_01", "zero_motion"])
    assert corpus.index["sample_id"].tolist() == ["s04_s04_sur_02"]  # s04_po_01 has two frames
    assert corpus.protocol.name == "smic-3-subset"


def test_without_clips_nothing_is_read(tmp_path: Path, read: Read) -> None:
    with pytest.raises(InputError, match="holds no s01/micro/"):
        read("smic", tmp_path, lenient=True)
