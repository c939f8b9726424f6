"""Test that the flow maps of MEGC2019 are read from both layouts and that damaged copies are refused."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from merec.corpora import read_megc2019_flow
from merec.errors import InputError
from merec.types import Corpus

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "megc2019_flow"
CLASSES = ("negative", "positive", "surprise")
PUBLISHED = {
    "samples": 442,
    "subjects": 68,
    "corpus": {"casme2": 145, "samm": 133, "smic": 164},
    "class": {"negative": 250, "positive": 109, "surprise": 83},
}
# Sample id, data set, subject, clip, label: one subject of each data set in its official spelling.
ROWS = [
    ("sub01_EP02_01f", "casme2", "sub01", "EP02_01f", "1"),
    ("sub01_EP19_05f", "casme2", "sub01", "EP19_05f", "0"),
    ("s01_ne_02", "smic", "s01", "ne_02", "0"),
    ("s01_sur_01", "smic", "s01", "sur_01", "2"),
    ("006_1_2", "samm", "006", "1_2", "0"),
    ("006_1_3", "samm", "006", "1_3", "2"),
]
IDS = [row[0] for row in ROWS]
COLUMNS = ["sample_id", "dataset", "subject", "filename", "label"]


def read(root: Path, expected: dict | None = None, classes: tuple[str, ...] = CLASSES) -> Corpus:
    return read_megc2019_flow(str(root), "megc2019-cd", classes, expected)


def make_maps() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(ROWS), 3, 28, 28), dtype=np.uint8)


def by_id(corpus: Corpus) -> dict[str, np.ndarray]:
    assert corpus.flow_maps is not None
    assert len(corpus.flow_maps) == len(corpus.index)
    return dict(zip(corpus.index["sample_id"], corpus.flow_maps, strict=True))


def write_png(file: Path, pixels: np.ndarray) -> None:
    """Write a map in the released format: red, green and blue are u, v and strain."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.transpose(1, 2, 0)).save(file, format="PNG")


def write_folders(folder: Path, ids: list[str], rows: pd.DataFrame, maps: np.ndarray) -> None:
    """Write `{subject}/u_test/{label}/{sample_id}.png`, every third file with a blank before the dot."""
    row_of = {row["sample_id"]: row for row in rows.to_dict("records")}
    for number, (sample_id, pixels) in enumerate(zip(ids, maps, strict=True)):
        name = f"{sample_id}{' ' if number % 3 == 0 else ''}.png"
        row = row_of[sample_id]
        write_png(folder / row["subject"] / "u_test" / row["label"] / name, pixels)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Write a small `flow.npz` with its `samples.csv`."""
    np.savez_compressed(tmp_path / "flow.npz", flow=make_maps(), sample_id=np.array(IDS))
    pd.DataFrame(ROWS, columns=COLUMNS).to_csv(tmp_path / "samples.csv", index=False)
    return tmp_path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Write the same samples in the released layout of folders."""
    write_folders(tmp_path, IDS, pd.DataFrame(ROWS, columns=COLUMNS), make_maps())
    return tmp_path


@pytest.fixture
def edit(packed: Path) -> Callable[[Callable[[pd.DataFrame], pd.DataFrame]], Path]:
    """Return a function that changes `samples.csv` of the packed layout."""

    def rewrite(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        rows = pd.read_csv(packed / "samples.csv", dtype=str)
        change(rows).to_csv(packed / "samples.csv", index=False)
        return packed

    return rewrite


# Further arrays of the packed file


def repack(root: Path, **changes: np.ndarray) -> Path:
    """Write `flow.npz` with some arrays added or replaced."""
    arrays = {"flow": make_maps(), "sample_id": np.array(IDS)} | changes
    np.savez_compressed(root / "flow.npz", **arrays)
    return root


def test_channels_are_reordered_by_their_names(packed):
    expected = by_id(read(packed))
    other = repack(packed, flow=make_maps()[:, [2, 0, 1]], channels=np.array(["Strain", "u", "v"]))
    maps = by_id(read(other))
    assert all((maps[sample_id] == expected[sample_id]).all() for sample_id in expected)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"channels": ["x", "y", "z"]}, "names its channels x, y, z; expected u, v, strain"),
        ({"channels": ["u", "u", "v"]}, "names its channels u, u, v; expected u, v, strain"),
        ({"label": [1, 0, 0, 2, 1, 2]}, "label of sample 006_1_2 is 1 in the former and 0 in the"),
        ({"label": [1, 0, np.nan, 2, 0, 2]}, "label of sample s01_ne_02 is nan in the former"),
        ({"label": [1, 0]}, "label has the shape (2,) in the former, for 6 samples"),
        (
            {"classes": ["surprise", "negative", "positive"]},
            "sample sub01_EP02_01f has label 1, which the former calls negative and corpus.classes posit",
        ),
        (
            {"subject": ["sub01", "sub02", "s01", "s01", "006", "006"]},
            "subject of sample sub01_EP19_05f is sub02 in the former and sub01 in the latter",
        ),
        (
            {"subject": np.array(["a"] * 6, object)},
            "it holds something else than arrays of numbers",
        ),
    ],
)
def test_an_archive_that_contradicts_its_table_is_refused(packed, arrays, message):
    repack(packed, **{name: np.array(values) for name, values in arrays.items()})
    with pytest.raises(InputError, match=re.escape(message)):
        read(packed)


def test_further_arrays_that_agree_with_the_table_change_nothing(packed):
    expected = read(packed)
    names = dict(zip(("subject", "dataset"), np.array(ROWS).T[[2, 1]], strict=True))
    arrays = {"channels": np.array(["u", "v", "strain"]), "label": np.array([1, 0, 0, 2, 0, 2])}
    corpus = read(repack(packed, **arrays, **names, classes=np.array(CLASSES)))
    assert (corpus.flow_maps == expected.flow_maps).all()
    assert corpus.protocol == expected.protocol


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>404</html>", r"is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n", "`git lfs pull`"),
        (b"\x80\x04K\x01.", r"cannot be read \(5 bytes; it holds something else than arrays"),
    ],
)
def test_a_wrong_file_instead_of_the_maps_is_named_without_numpys_advice(packed, content, message):
    (packed / "flow.npz").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(packed)
    assert "pickle" not in str(caught.value)


# The real data


@pytest.fixture(scope="module")
def real() -> Corpus:
    """Read all 442 samples from the packed files and assert the published counts."""
    if not REAL.exists():
        pytest.skip("the flow maps of MEGC2019 are not at ../shared/data/megc2019_flow")
    return read(REAL, PUBLISHED)


@pytest.fixture(scope="module")
def circulating(real: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the released layout, `datasets/three_norm_u_v_os`, from the packed maps."""
    root = tmp_path_factory.mktemp("circulating")
    folder = root / "datasets" / "three_norm_u_v_os"
    with np.load(REAL / "flow.npz") as arrays:
        maps, ids = arrays["flow"], arrays["sample_id"].astype(str).tolist()
    write_folders(folder, ids, pd.read_csv(REAL / "samples.csv", dtype=str), maps)
    # u_train repeats maps of other subjects; here with inverted pixels, so that reading it is detected.
    for subject in ("sub01", "s03", "006"):
        write_png(folder / subject / "u_train" / "0" / f"{ids[0]}.png", 255 - maps[0])
    return root


def test_the_real_maps_have_the_published_counts(real):
    index = real.index
    assert (len(index), index["subject"].nunique()) == (442, 68)
    assert (real.protocol.samples, real.protocol.subjects) == (442, 68)
    assert index["corpus"].value_counts().to_dict() == PUBLISHED["corpus"]
    assert (
        index["label"].map(dict(enumerate(CLASSES))).value_counts().to_dict() == PUBLISHED["class"]
    )
    assert real.channels == ("u", "v", "strain")
    assert real.flow_maps.shape == (442, 3, 28, 28)


def test_the_real_maps_are_those_of_the_packed_file_joined_by_id(real):
    with np.load(REAL / "flow.npz") as arrays:
        kept = dict(zip(arrays["sample_id"].astype(str), arrays["flow"], strict=True))
        label = dict(zip(arrays["sample_id"].astype(str), arrays["label"].tolist(), strict=True))
    maps = by_id(real)
    assert maps.keys() == kept.keys()
    assert all((maps[sample_id] == kept[sample_id]).all() for sample_id in kept)
    assert dict(zip(real.index["sample_id"], real.index["label"], strict=True)) == label


@pytest.mark.parametrize("below", ["", "datasets", "datasets/three_norm_u_v_os"])
def test_both_layouts_give_the_same_samples_pixels_and_protocol(real, circulating, below):
    corpus = read(circulating / below, PUBLISHED)
    columns = ["sample_id", "corpus", "subject", "clip", "label"]
    pd.testing.assert_frame_equal(
        corpus.index.sort_values("sample_id", ignore_index=True)[columns],
        real.index.sort_values("sample_id", ignore_index=True)[columns],
        check_dtype=False,
    )
    maps, expected = by_id(corpus), by_id(real)
    assert all((maps[sample_id] == expected[sample_id]).all() for sample_id in expected)
    assert corpus.protocol == real.protocol
    assert corpus.channels == real.channels


def test_the_written_layout_has_train_folders_and_names_with_a_blank(circulating):
    assert len(list(circulating.glob("datasets/*/*/u_train/0/*.png"))) == 3
    assert any(" ." in file.name for file in circulating.rglob("u_test/*/*.png"))


# Small written data


def test_both_layouts_are_read_as_they_were_written(packed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders")
    write_folders(folder, IDS, pd.DataFrame(ROWS, columns=COLUMNS), make_maps())
    a, b = read(packed), read(folder)
    assert a.protocol == b.protocol
    written = dict(zip(IDS, make_maps(), strict=True))
    for corpus in (a, b):
        maps = by_id(corpus)
        assert maps.keys() == written.keys()
        assert all((maps[sample_id] == written[sample_id]).all() for sample_id in written)
        rows = corpus.index[["sample_id", "corpus", "subject", "clip", "label"]].astype(str)
        assert sorted(rows.itertuples(index=False, name=None)) == sorted(ROWS)


def test_rows_in_another_order_are_joined_by_id(edit):
    folder = edit(lambda rows: rows.iloc[[3, 0, 5, 1, 4, 2]])
    corpus = read(folder)
    assert corpus.index["sample_id"].tolist() != IDS
    written = dict(zip(IDS, make_maps(), strict=True))
    assert all((pixels == written[sample_id]).all() for sample_id, pixels in by_id(corpus).items())


def test_subjects_of_digits_stay_text(packed):
    assert "006" in set(read(packed).index["subject"])


def test_a_missing_root_names_the_setting_the_variable_and_the_source(tmp_path):
    root = tmp_path / "nowhere"
    with pytest.raises(InputError) as error:
        read(root)
    for word in (f"corpus.root={root} does not exist", "MEREC_DATA", "conf/local", "STSTNet"):
        assert word in str(error.value)


@pytest.mark.parametrize("inside", [[], ["three_norm_u_v_os"], ["sub01/u_train/0"]])
def test_a_folder_without_maps_is_refused_with_what_is_missing(tmp_path, inside):
    for name in inside:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds neither flow\.npz nor \*/u_test.*MEREC_DATA"):
        read(tmp_path)


def test_subject_folders_without_a_single_map_are_refused(tmp_path):
    (tmp_path / "sub01" / "u_test" / "0").mkdir(parents=True)
    with pytest.raises(InputError, match=r"has no \*/u_test/\*/\*\.png; copy it again") as error:
        read(tmp_path)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("share", [0, 1e-9, 0.1, 0.5, 0.9, 1 - 1e-9])
def test_a_truncated_npz_is_named_with_its_size(packed, share):
    file = packed / "flow.npz"
    whole = file.read_bytes()
    kept = whole[: int(np.ceil(share * len(whole)))] if share < 0.99 else whole[:-1]
    assert len(kept) < len(whole)
    file.write_bytes(kept)
    with pytest.raises(InputError, match=r"it is cut off or damaged, copy it again") as error:
        read(packed)
    assert f"{file} cannot be read ({len(kept):,} bytes" in str(error.value)


def test_a_bit_flipped_anywhere_in_the_npz_is_refused_or_harmless(packed):
    file = packed / "flow.npz"
    whole, intact = file.read_bytes(), by_id(read(packed))
    refused = []
    for at in np.linspace(0, len(whole) - 1, 120).astype(int).tolist():
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            maps = by_id(read(packed))
        except InputError as error:
            refused.append(str(error))
        else:
            assert all((maps[sample_id] == intact[sample_id]).all() for sample_id in IDS)
    assert len(refused) > 100
    assert all(str(packed) in message for message in refused)


def test_a_file_that_is_no_archive_is_refused(packed):
    with (packed / "flow.npz").open("wb") as file:
        np.save(file, make_maps())
    with pytest.raises(InputError, match=r"flow\.npz cannot be read .* copy it again"):
        read(packed)


@pytest.mark.parametrize("key", ["flow", "sample_id"])
def test_an_npz_without_a_key_names_it(packed, key):
    arrays = {"flow": make_maps(), "sample_id": np.array(IDS)}
    arrays[f"other_{key}"] = arrays.pop(key)
    np.savez(packed / "flow.npz", **arrays)
    with pytest.raises(InputError, match=rf"flow\.npz cannot be read .*\b{key} is not a file"):
        read(packed)


@pytest.mark.parametrize(
    ("maps", "description"),
    [
        (make_maps().astype(np.float32), r"float32 maps of shape \(6, 3, 28, 28\)"),
        (make_maps()[:, :2], r"uint8 maps of shape \(6, 2, 28, 28\)"),
        (make_maps()[:, :, :14], r"uint8 maps of shape \(6, 3, 14, 28\)"),
        (make_maps()[:5], r"uint8 maps of shape \(5, 3, 28, 28\)"),
        (make_maps().transpose(0, 2, 3, 1), r"uint8 maps of shape \(6, 28, 28, 3\)"),
    ],
)
def test_maps_of_another_shape_or_type_are_refused_with_the_one_expected(packed, maps, description):
    np.savez(packed / "flow.npz", flow=maps, sample_id=np.array(IDS))
    expected = r"expected uint8 of shape \(6, 3, 28, 28\)"
    with pytest.raises(InputError, match=rf"flow\.npz holds {description}; {expected}"):
        read(packed)


def test_a_missing_table_is_named(packed):
    (packed / "samples.csv").unlink()
    with pytest.raises(InputError, match=r"samples\.csv is missing; it lies beside flow\.npz"):
        read(packed)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(edit, column):
    folder = edit(lambda rows: rows.drop(columns=column))
    with pytest.raises(InputError, match=rf"samples\.csv has no column {column}; it has "):
        read(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"sample_id,dataset\na,b\nc,d,e,f\n", b'sample_id\n"open\n', b"sample_id\n\xff\xfe\n"],
    ids=["empty", "ragged", "open quote", "no text"],
)
def test_a_table_that_is_no_table_is_refused(packed, content):
    (packed / "samples.csv").write_bytes(content)
    with pytest.raises(
        InputError, match=r"samples\.csv (cannot be read|is empty|has no column)[^\n]*; "
    ):
        read(packed)


def test_a_row_without_a_map_is_named_by_its_line(edit):
    def add(rows):
        return pd.concat([rows, rows.iloc[[0]].assign(sample_id="sub99_EP01")])

    with pytest.raises(
        InputError,
        match=r"samples\.csv, line 8: sample sub99_EP01 has no map .* take both from one",
    ):
        read(edit(add))


def test_a_row_that_was_cut_off_is_named_by_its_line(packed):
    file = packed / "samples.csv"
    text = file.read_text(encoding="utf-8").rstrip()
    file.write_text(text.rpartition(",")[0], encoding="utf-8")
    with pytest.raises(InputError, match=r"samples\.csv, line 7: label '' is no class number"):
        read(packed)


@pytest.mark.parametrize("keep", [[0, 1, 2, 3, 4, 5, 5], [0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4]])
def test_duplicate_and_missing_rows_are_refused_with_both_counts(edit, keep):
    folder = edit(lambda rows: rows.iloc[keep])
    with pytest.raises(InputError) as error:
        read(folder)
    message = str(error.value)
    assert f"samples.csv names {len(set(keep))} samples in {len(keep)} rows" in message
    assert "flow.npz holds 6 maps; take both files from one copy" in message


@pytest.mark.parametrize("label", ["", "x", "-1", "1.5", "²"])
def test_a_label_that_is_no_number_is_named_by_its_line(edit, label):
    def spoil(rows):
        rows.loc[2, "label"] = label
        return rows

    with pytest.raises(
        InputError, match=rf"samples\.csv, line 4: label '{re.escape(label)}' is no class number"
    ):
        read(edit(spoil))


def test_a_label_without_a_class_names_the_sample_and_the_setting(packed):
    with pytest.raises(
        InputError, match=r"sample s01_sur_01 has label 2.*0 to 1; .*corpus\.classes"
    ):
        read(packed, classes=("negative", "positive"))


@pytest.mark.parametrize(
    ("expected", "messages"),
    [
        ({"samples": 442}, ["samples: 6 found, 442 expected"]),
        ({"subjects": 68}, ["subjects: 3 found, 68 expected"]),
        ({"corpus": {"smic": 3, "samm": 2}}, ["corpus smic: 2 found, 3 expected"]),
        (
            {"class": {"negative": 4, "positive": 0}},
            ["negative: 3 found, 4", "positive: 1 found, 0"],
        ),
    ],
)
@pytest.mark.parametrize("layout", ["packed", "folders"])
def test_counts_that_differ_are_all_named_with_the_remedy(request, layout, expected, messages):
    root = request.getfixturevalue(layout)
    with pytest.raises(InputError, match=r"corpus\.expected=null") as error:
        read(root, expected)
    for text in [str(root), *messages]:
        assert text in str(error.value)


@pytest.mark.parametrize("layout", ["packed", "folders"])
def test_counts_that_agree_pass(request, layout):
    counts = {"samples": 6, "subjects": 3, "corpus": {"smic": 2}, "class": {"negative": 3}}
    assert read(request.getfixturevalue(layout), counts).protocol.samples == 6


def first_png(folders: Path) -> Path:
    return next(file for file in sorted(folders.rglob("*.png")) if "sub01" in file.name)


def test_a_grey_copy_is_refused_rather_than_read_as_three_equal_channels(folders):
    file = first_png(folders)
    Image.new("L", (28, 28), 100).save(file)
    with pytest.raises(InputError, match="has 1 channel; expected 3") as error:
        read(folders)
    assert file.name in str(error.value)


@pytest.mark.parametrize("size", [(28, 27), (56, 28), (1, 1)])
def test_a_map_of_another_size_is_named_with_its_size(folders, size):
    file = first_png(folders)
    write_png(file, np.zeros((3, *size), dtype=np.uint8))
    with pytest.raises(InputError, match=rf"is {size[1]}×{size[0]} px; expected 28×28") as error:
        read(folders)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("keep", [0, 8, 40, 200, 1500])
def test_a_png_that_was_cut_off_is_named(folders, keep):
    file = first_png(folders)
    assert len(file.read_bytes()) > keep
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"cannot be read .* copy it again") as error:
        read(folders)
    assert str(file) in str(error.value)


def test_a_png_with_a_broken_chunk_is_named(folders):
    file = first_png(folders)
    whole = bytearray(file.read_bytes())
    at = whole.index(b"IDAT")
    # The length of the chunk is too small, so pixels are read as the name of the next chunk. Pillow detects
    # this while decoding and raises a SyntaxError.
    whole[at - 4 : at] = (1000).to_bytes(4, "big")
    whole[at + 4 + 1000 + 4 + 4 : at + 4 + 1000 + 4 + 8] = b"\x00\xff\xa6\xef"
    file.write_bytes(whole)
    with pytest.raises(InputError, match=r"cannot be read .* copy it again") as error:
        read(folders)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("label", ["neg", "-1", "²"])
def test_a_label_folder_that_is_no_class_number_is_named(folders, label):
    file = first_png(folders)
    moved = file.parents[1] / label / file.name
    moved.parent.mkdir()
    file.rename(moved)
    with pytest.raises(InputError, match=rf"its folder {label} is no class number") as error:
        read(folders)
    assert str(moved) in str(error.value)


def test_a_label_folder_beyond_the_classes_names_the_sample(folders):
    file = first_png(folders)
    moved = file.parents[1] / "7" / file.name
    moved.parent.mkdir()
    file.rename(moved)
    with pytest.raises(InputError, match=rf"sample {file.stem.strip()} has label 7, .* 0 to 2"):
        read(folders)


@pytest.mark.parametrize("home", ["sub02", "006", "sub0"])
def test_a_file_that_lies_with_another_subject_is_named(folders, home):
    file = first_png(folders)
    moved = folders / home / "u_test" / "0" / file.name
    moved.parent.mkdir(parents=True, exist_ok=True)
    file.rename(moved)
    with pytest.raises(InputError, match=rf"lies with subject {home}; move it") as error:
        read(folders)
    assert str(moved) in str(error.value)


def test_a_sample_under_two_labels_is_named(folders):
    file = first_png(folders)
    copy = file.parents[1] / "2" / f"{file.stem.strip()}.png"
    copy.parent.mkdir()
    shutil.copy(file, copy)
    with pytest.raises(InputError, match=rf"sample {file.stem.strip()} lies there twice; keep"):
        read(folders)


@pytest.mark.parametrize("name", ["bob", "S01", "sub1", "sub001", "06"])
def test_a_subject_of_no_data_set_is_named_with_examples(folders, name):
    write_png(folders / name / "u_test" / "0" / f"{name}_1.png", make_maps()[0])
    with pytest.raises(
        InputError, match=r"is no subject of MEGC2019; .* sub01, s01 or 006"
    ) as error:
        read(folders)
    assert f"{folders / name} " in str(error.value)
