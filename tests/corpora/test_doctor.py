"""Test that the doctor reports nothing for a sound corpus and every defect with its row and a remedy."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from merec.corpora.doctor import Examination, examine
from merec.evaluation.protocol import describe_protocol
from merec.testing import check_corpus
from merec.types import Camera, Corpus, Finding, Frames

CLASSES = ("negative", "positive")
SIZE = (48, 32)  # px
CAMERA = Camera(50, 50, 24, 16, *SIZE)
# Subject, clip, onset, apex, offset; two samples are in one clip.
SAMPLES = [
    ("spNO.1", "a", 5, 9, 14),
    ("spNO.1", "b", 3, 6, 11),
    ("spNO.2", "a", 1, 4, 9),
    ("spNO.2", "a", 20, 24, 30),
    ("spNO.3", "c", 8, 12, 17),
]
Change = dict[str, object]


def write_color(file: Path, number: int, size: tuple[int, int] = SIZE) -> None:
    """Write a coloured frame that differs from frames with other numbers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), (200, 120, 60), np.uint8)
    pixels[number % size[1]] = (20, 250, 250)
    Image.fromarray(pixels).save(file)


def write_depth(file: Path, millimetres: int = 900, size: tuple[int, int] = SIZE) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0]), millimetres, np.uint16)).save(file)


def make_corpus(root: Path, changes: dict[int, Change] | None = None, **more) -> Corpus:
    """Make the corpus of an annotation with SAMPLES; `changes` are by row number."""
    rows = []
    for row, (subject, clip, onset, apex, offset) in enumerate(SAMPLES):
        folder = root / subject / clip
        rows.append(
            {
                "sample_id": f"{subject}_{clip}_{onset}",
                "corpus": "casme3",
                "subject": subject,
                "clip": clip,
                "label": row % 2,
                "onset": onset,
                "apex": apex,
                "offset": offset,
                "fps": 30.0,
                "color": Frames(folder / "color", "{}.jpg"),
                "depth": Frames(folder / "depth", "{}.png"),
                "row": row,
            }
            | (changes or {}).get(row, {})
        )
    index = pd.DataFrame(rows).astype({"offset": "Int64"})
    return Corpus(describe_protocol("test", index, CLASSES), index, None, (), CAMERA, **more)


def name(root: Path, row: int, number: int, kind: str = "color") -> Path:
    subject, clip, *_ = SAMPLES[row]
    return root / subject / clip / kind / f"{number}.{'jpg' if kind == 'color' else 'png'}"


def write_frames(root: Path, only: Callable[[int, int, int, int], bool] | None = None) -> Path:
    for row, (_, _, onset, apex, offset) in enumerate(SAMPLES):
        for number in range(onset, offset + 1):
            if only is None or only(number, onset, apex, offset):
                write_color(name(root, row, number), number)
                write_depth(name(root, row, number, "depth"))
    return root


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write all frames of SAMPLES in the full layout; tests must not change them."""
    return write_frames(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    """Copy the sound corpus, so that a test may change it."""
    return shutil.copytree(sound, tmp_path / "corpus")


def look(root: Path, corpus: Corpus | None = None, deep: bool = False) -> Examination:
    return examine(corpus or make_corpus(root), root, deep, jobs=1)


def one(examination: Examination) -> Finding:
    assert len(examination.findings) == 1, examination.findings
    finding = examination.findings[0]
    assert finding.remedy
    return finding


# Sound corpora


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_corpus_has_no_finding(root, deep):
    examination = look(root, deep=deep)
    assert examination.findings == ()
    assert (examination.clips, examination.wanted, examination.color, examination.depth) == (
        4,
        49,
        49,
        49,
    )
    assert examination.opened == (2 * 49 if deep else 4 * len(SAMPLES))


def test_a_corpus_of_key_frames_lacks_nothing_and_is_called_so(tmp_path):
    root = write_frames(tmp_path, lambda n, onset, apex, offset: n in (onset, apex, offset))
    examination = look(root, make_corpus(root, key_frames=("onset", "apex", "offset")))
    assert (examination.findings, examination.sparse) == ((), ("casme3",))


def test_a_full_corpus_that_lost_frames_is_not_taken_for_key_frames(tmp_path):
    root = write_frames(tmp_path, lambda n, onset, apex, offset: n in (onset, apex, offset))
    examination = look(root)
    assert [(f.severity, f.kind, f.row) for f in examination.findings] == [
        ("warning", "missing frame", row) for row in range(5)
    ]
    assert examination.sparse == ()


def test_the_files_of_a_bad_row_are_looked_at(root):
    corpus = make_corpus(root)
    index = corpus.index
    name(root, 0, 9).unlink()
    bad = replace(corpus, index=index[1:], rejected=index[:1].drop(columns="label"))
    finding = one(look(root, bad))
    assert (finding.severity, finding.kind, finding.row) == ("error", "missing frame", 0)


def test_in_a_corpus_of_key_frames_a_key_frame_and_half_a_pair_are_still_missed(tmp_path):
    root = write_frames(
        tmp_path, lambda n, onset, apex, offset: n in (onset, onset + 1, apex, offset)
    )
    name(root, 0, 6).unlink()
    name(root, 1, 6).unlink()
    findings = look(root, make_corpus(root, key_frames=("onset", "apex", "offset"))).findings
    assert [(f.severity, f.kind, f.row) for f in findings] == [
        ("error", "missing frame", 1),
        ("warning", "missing frame", 0),
    ]
    assert "(the apex)" in findings[0].found


def test_an_offset_that_is_not_known_asks_for_frames_up_to_the_apex(root):
    corpus = make_corpus(root, {0: {"offset": pd.NA}})
    for number in range(10, 15):
        name(root, 0, number).unlink()
    assert look(root, corpus).findings == ()


def test_a_corpus_of_flow_maps_has_no_frames_to_look_at():
    examination = look(Path("x"), make_flow_corpus([0, 1, 0, 1]))
    assert (examination.findings, examination.clips) == ((), 0)


def make_flow_corpus(labels: list[int]) -> Corpus:
    """Make a corpus of flow maps with two samples of each subject: a, a, b, b, …"""
    index = pd.DataFrame({"label": labels, "corpus": "smic"})
    index["sample_id"] = [f"{row:03d}" for row in range(len(index))]
    index["subject"] = [chr(ord("a") + row // 2) for row in range(len(index))]
    index["clip"] = index["sample_id"]
    maps = np.zeros((len(index), 3, 28, 28), np.uint8)
    return Corpus(describe_protocol("x", index, CLASSES), index, maps, ("u", "v", "s"))


def test_a_class_without_samples_is_a_warning_that_says_what_uf1_can_reach():
    finding = one(look(Path("x"), make_flow_corpus([0, 0, 0, 0])))
    assert (finding.severity, finding.kind) == ("warning", "class without samples")
    assert CLASSES[1] in finding.found
    assert "cannot exceed 1/2 = 0.500" in finding.found


def test_a_class_of_a_single_subject_is_a_warning():
    finding = one(look(Path("x"), make_flow_corpus([0, 1, 0, 0])))
    assert (finding.severity, finding.kind) == ("warning", "class of one subject")
    assert f"class {CLASSES[1]} is shown by a alone" in finding.found


# Files


def test_missing_frames_are_one_finding_of_their_sample_with_ranges(root):
    for number in (20, 22, 23, 26):
        name(root, 3, number).unlink()
    finding = one(look(root))
    assert (finding.severity, finding.kind) == ("error", "missing frame")
    assert (finding.row, finding.sample_id, finding.where) == (3, "spNO.2_a_20", "spNO.2/a/color")
    assert finding.found == "20, 22–23, 26 of 20–30 (the onset)"


def test_a_missing_frame_between_the_key_frames_is_a_warning_that_names_the_file(root):
    name(root, 0, 11).unlink()
    finding = one(look(root))
    assert (finding.severity, finding.where) == ("warning", "spNO.1/a/color/11.jpg")


def test_a_missing_depth_frame_is_distinguished_from_a_missing_frame(root):
    name(root, 0, 9, "depth").unlink()
    name(root, 1, 7, "depth").unlink()
    findings = look(root).findings
    assert [(f.severity, f.kind, f.row) for f in findings] == [
        ("error", "missing depth frame", 0),
        ("warning", "missing depth frame", 1),
    ]


def test_an_empty_file_is_reported_and_not_opened(root):
    name(root, 0, 9).write_bytes(b"")
    finding = one(look(root, deep=True))
    assert (finding.severity, finding.kind, finding.where) == (
        "error",
        "empty file",
        "spNO.1/a/color/9.jpg",
    )


def test_a_link_that_leads_nowhere_or_to_itself_is_a_missing_frame_of_that_name(root):
    frame = name(root, 0, 9)
    for target in (frame, root / "nowhere"):
        frame.unlink()
        frame.symlink_to(target)
        finding = one(look(root))
        assert (finding.kind, finding.where) == ("missing frame", "spNO.1/a/color/9.jpg")


def test_a_folder_that_differs_in_case_only_is_named_with_its_expected_name(root):
    (root / "spNO.2").rename(root / "spNo.2")
    finding = one(look(root))
    assert (finding.kind, finding.where) == ("missing folder", "spNO.2/a/color")
    assert finding.found.startswith("spNo.2 lies there, spNO.2 is expected (2 samples: spNO.2_a_1,")
    assert finding.remedy == "rename spNo.2 to spNO.2"


def test_a_folder_beside_that_no_sample_names_is_a_warning(root):
    (root / "spNo.2").mkdir()
    (root / "notes").mkdir()
    finding = one(look(root))
    assert (finding.severity, finding.kind, finding.where) == (
        "warning",
        "spelling of folder",
        "spNo.2",
    )


def test_a_missing_clip_and_a_dead_one_are_distinguished(root):
    for file in (root / "spNO.1" / "a" / "color").iterdir():
        file.unlink()
    (root / "spNO.3").rename(root / "elsewhere")
    findings = look(root).findings
    assert [(f.kind, f.row) for f in findings] == [("dead clip", 0), ("missing folder", 4)]


def test_a_file_in_the_place_of_a_folder_is_called_one(root):
    shutil.rmtree(root / "spNO.3" / "c" / "color")
    (root / "spNO.3" / "c" / "color").write_bytes(b"")
    findings = look(root).findings
    problems = [finding.found for finding in findings]
    assert "color is a file, a folder of frames is expected" in problems


def test_a_wrong_root_is_one_finding_and_not_one_per_clip(tmp_path):
    finding = one(look(tmp_path))
    assert finding.found.startswith("none of 4 folders is there, e.g. spNO.1/a/color")
    assert "corpus.root=FOLDER" in finding.remedy


def test_a_corpus_without_depth_is_reported_once(root):
    for subject, clip in {(s, c) for s, c, *_ in SAMPLES}:
        (root / subject / clip / "depth").rename(root / subject / clip / "away")
    assert one(look(root)).kind == "missing depth folder"


def test_zero_padded_frames_are_named_with_what_is_expected(root):
    for file in (root / "spNO.1" / "a" / "color").iterdir():
        file.rename(file.with_name(f"{file.stem:0>5}.jpg"))
    finding = one(look(root))
    assert (finding.severity, finding.kind, finding.row) == (
        "error",
        "frames numbered differently",
        0,
    )
    assert finding.found == "00005.jpg where 5.jpg is expected (10 such frames)"


def test_frames_that_start_at_another_number_are_named(root):
    for kind in ("color", "depth"):
        for file in list((root / "spNO.1" / "a" / kind).iterdir()):
            file.rename(file.with_stem(str(int(file.stem) + 100)))
    finding = one(look(root))
    assert finding.kind == "frames numbered differently"
    assert finding.found == "frames 105–114 lie there, none of 5–14"


def test_frames_of_another_name_are_named(root):
    for file in (root / "spNO.1" / "a" / "color").iterdir():
        file.rename(file.with_name(f"img{file.name}"))
    assert one(look(root)).found.startswith("img10.jpg … img9.jpg lie there, names such as 5.jpg")


# Rows


def test_order_motion_and_duplicates_are_reported_by_row(root):
    changes: dict[int, Change] = {
        0: {"onset": 9, "apex": 5},
        1: {"apex": 11, "offset": 6},
        2: {"apex": 1},
        3: {"onset": 1, "sample_id": "twin"},
    }
    findings = look(root, make_corpus(root, changes)).findings
    reported = [(f.severity, f.kind, f.row) for f in findings]
    assert ("error", "onset after apex", 0) in reported
    assert ("error", "apex after offset", 1) in reported
    assert ("note", "onset is apex", 2) in reported
    assert ("warning", "duplicate", 3) in reported
    assert "spNO.2_a_1 (row 2 from 0)" in next(f.found for f in findings if f.kind == "duplicate")


def test_findings_of_the_loader_are_kept_and_not_repeated(root):
    loaded = Finding("error", "onset after apex", "x.xlsx", 0, "spNO.1_a_5", "9 > 5", "mend it")
    corpus = make_corpus(root, {0: {"onset": 9, "apex": 5}}, findings=(loaded,))
    assert look(root, corpus).findings == (loaded,)


def test_a_mistyped_number_does_not_fill_the_memory(root):
    findings = look(root, make_corpus(root, {0: {"offset": 1_400_000_000}})).findings
    assert [(f.kind, f.row) for f in findings] == [("missing frame", 0)]


# Pixels


def spoil_truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def spoil_text(file: Path) -> None:
    file.write_text("<html>not found</html>")


def spoil_size(file: Path) -> None:
    write_color(file, int(file.stem), (24, 16))


def spoil_grey(file: Path) -> None:
    Image.open(file).convert("L").save(file)


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (spoil_truncated, "unreadable image"),
        (spoil_text, "unreadable image"),
        (spoil_size, "wrong size"),
        (spoil_grey, "grey colour"),
    ],
)
def test_a_bad_colour_frame_is_reported(root, spoil, kind):
    spoil(name(root, 0, 9))
    spoil(name(root, 1, 7))
    apex, between = look(root, deep=True).findings
    assert (apex.kind, apex.row, apex.where) == (kind, 0, "spNO.1/a/color/9.jpg")
    assert (between.severity, between.kind, between.row) == ("warning", kind, 1)
    assert one(look(root)) == apex  # without deep only onset and apex are opened


def test_a_frame_that_is_a_pointer_of_git_lfs_is_called_one(root):
    name(root, 0, 9).write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"
    )
    assert "run `git lfs pull`" in one(look(root)).found


def test_depth_that_fits_its_own_colour_frame_is_not_blamed_for_its_size(root):
    spoil_size(name(root, 0, 9))
    write_depth(name(root, 0, 9, "depth"), size=(24, 16))
    assert one(look(root)).kind == "wrong size"


def depth_of(pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda file: Image.fromarray(pixels).save(file)


NEARLY = np.zeros((32, 48), np.uint16)
NEARLY[0] = 900


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (spoil_truncated, "unreadable depth"),
        (depth_of(np.zeros((32, 48), np.uint16)), "empty depth"),
        (depth_of(NEARLY), "nearly empty depth"),
        (depth_of(np.full((32, 48), 200, np.uint8)), "8-bit depth"),
        (depth_of(np.full((32, 48, 3), 200, np.uint8)), "depth with channels"),
        (depth_of(np.full((32, 48), 2, np.uint16)), "implausible depth"),
        (depth_of(np.full((32, 48), 30_000, np.uint16)), "implausible depth"),
        (depth_of(np.full((16, 24), 900, np.uint16)), "depth of another size"),
    ],
)
def test_a_bad_depth_map_is_reported(root, spoil, kind):
    spoil(name(root, 0, 9, "depth"))
    spoil(name(root, 1, 7, "depth"))
    apex, between = look(root, deep=True).findings
    assert (apex.severity, apex.kind, apex.row) == ("error", kind, 0)
    assert apex.where == "spNO.1/a/depth/9.png"
    assert (between.severity, between.kind, between.row) == ("warning", kind, 1)
    assert one(look(root)) == apex


@pytest.mark.parametrize(
    ("folder", "spoil", "beside"),
    [
        ("color", spoil_size, "the others"),
        ("depth", depth_of(np.full((16, 24), 900, np.uint16)), "its colour"),
    ],
)
def test_a_wrong_size_is_reported_with_the_right_one(root, folder, spoil, beside):
    spoil(name(root, 0, 9, folder))
    wrong = one(look(root))
    assert wrong.found.endswith(": 24×16 px")
    assert wrong.remedy.startswith(f"expected 48×32 px as {beside}")


def test_onset_and_apex_of_one_image_are_frozen(root):
    name(root, 0, 9).write_bytes(name(root, 0, 5).read_bytes())
    finding = one(look(root))
    assert (finding.kind, finding.found) == ("frozen clip", "onset 5 and apex 9 are one image")


def test_a_camera_of_another_size_is_reported_once(root):
    camera = Camera(100, 100, 48, 32, 96, 64)
    corpus = make_corpus(root)
    finding = one(look(root, Corpus(corpus.protocol, corpus.index, None, (), camera)))
    assert "most frames are 48×32 px, corpus.intrinsics is for 96×64" in finding.found


def test_a_corpus_recorded_in_grey_is_noted_once(root):
    for file in root.glob("*/*/color/*.jpg"):
        spoil_grey(file)
    finding = one(look(root))
    assert (finding.severity, finding.kind) == ("note", "grey colour")


# Macro-expressions and unlabelled clips


def test_outside_the_protocol_nothing_is_worse_than_a_warning(root):
    macro = make_corpus(root, {row: {"sample_id": f"macro_{row}"} for row in range(5)}).index
    pool = pd.DataFrame(
        {
            "clip_id": ["pool_1", "pool_2"],
            "corpus": "casme3",
            "subject": "",
            "clip": ["1", "2"],
            "fps": 30.0,
            "color": [Frames(root / f"pool_{n}" / "color", "{}.jpg") for n in (1, 2)],
            "depth": [None, None],
        }
    )
    for number in (1, 2, 3):
        write_color(root / "pool_1" / "color" / f"{number}.jpg", number)
    spoil_text(root / "pool_1" / "color" / "2.jpg")
    macro = macro.assign(
        onset=macro["onset"] + 200, apex=macro["apex"] + 200, offset=macro["offset"] + 200
    )
    corpus = make_corpus(root, macro=macro.drop(columns="label").head(1), unlabelled=pool)
    findings = look(root, corpus, deep=True).findings
    assert [(f.severity, f.kind, f.sample_id) for f in findings] == [
        ("warning", "frames numbered differently", "macro_0"),
        ("warning", "missing folder", "pool_2"),
        ("warning", "unreadable image", "pool_1"),
    ]
    assert [f.kind for f in look(root, corpus).findings][-1] == "missing folder"


@pytest.mark.slow
def test_findings_are_the_same_for_any_number_of_processes(root):
    name(root, 0, 9).unlink()
    spoil_text(name(root, 3, 24, "depth"))
    corpus = make_corpus(root)
    assert examine(corpus, root, True, jobs=2) == examine(corpus, root, True, jobs=1)


def test_deep_examination_reports_depth_in_another_unit_once(merec, rendered, tmp_path, find_local):
    find_local("face_landmarker")
    root = Path(shutil.copytree(rendered, tmp_path / "corpus"))
    for file in root.glob("spNO.*/*/depth/*.png"):
        cv2.imwrite(str(file), 4 * cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
    done = merec("doctor", "corpus=synthetic", f"corpus.root={root}", "deep=true", "jobs=1")
    assert done.returncode == 1, done.stderr
    table = pd.read_csv(tmp_path / "runs" / "doctor" / "synthetic.csv")
    (row,) = table[table["kind"] == "unusable depth"].to_dict("records")
    assert "4 of 4 samples" in row["found"]
    assert "its unit looks like 0.2" in row["remedy"]


@pytest.mark.parametrize(
    ("change", "kind", "problem"),
    [
        ({"apex": pd.NA}, "not a number", "apex <NA> is no whole number"),
        ({"apex": "460?"}, "not a number", "apex '460?' is no whole number"),
        ({"onset": 2.5}, "not a number", "onset 2.5 is no whole number"),
        ({"subject": "spno.01"}, "one subject", "'spno.01' is 'spNO.1' in another spelling"),
    ],
)
def test_a_bad_key_frame_or_subject_of_any_reader_is_an_error_with_row_and_sample(
    tmp_path, change, kind, problem
):
    corpus = make_corpus(tmp_path, {1: change})
    finding = next(
        finding for finding in examine(corpus, tmp_path).findings if finding.kind == kind
    )
    assert (finding.severity, finding.row, finding.sample_id) == ("error", 1, "spNO.1_b_3")
    assert problem in finding.found
    index = corpus.index.assign(emotion="", action_units=None)
    with pytest.raises(AssertionError, match="spNO.1_b_3"):
        check_corpus(replace(corpus, index=index))
