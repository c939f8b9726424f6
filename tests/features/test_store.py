"""A file of the store is whole or absent, and its key changes with all that decides its content."""

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from merec.errors import InputError
from merec.features.store import StopError, Store, hash_content, make_key

ARRAYS = {
    "map": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "flow": np.linspace(-1, 1, 6, dtype=np.float16).reshape(2, 3),
    "known": np.array([[True, False], [False, True]]),
    "turned": np.arange(6, dtype=np.float64).reshape(2, 3).T,
}
FACTS = ("motion", "c0de", {"flow": "dis", "head": True}, ["a", "b"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files(store: Store) -> list[Path]:
    return sorted(path for path in store.root.rglob("*") if path.is_file())


def test_arrays_come_back_with_values_types_and_shapes(store):
    store.save("motion", "ab12", ARRAYS)
    actual = store.load("motion", "ab12")
    assert actual is not None
    assert actual.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert actual[name].dtype == array.dtype
        np.testing.assert_array_equal(actual[name], array)


def test_only_the_arrays_asked_for_are_read(store):
    store.save("motion", "ab12", ARRAYS)
    actual = store.load("motion", "ab12", ["map"])
    assert actual is not None
    assert list(actual) == ["map"]


def test_what_is_not_there_is_none(store):
    assert store.load("motion", "ab12") is None
    assert store.read_table("points") is None


@pytest.mark.parametrize("names", [(), ("map",)])
@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_file_that_was_cut_off_is_as_good_as_absent(store, keep, names, caplog):
    store.save("motion", "ab12", ARRAYS)
    file = store.path("motion", "ab12")
    file.write_bytes(file.read_bytes()[:keep])
    assert store.load("motion", "ab12", names) is None
    assert str(file) in caplog.text
    store.save("motion", "ab12", ARRAYS)
    assert store.load("motion", "ab12", names) is not None


@pytest.mark.parametrize(
    "other",
    [
        ("points", *FACTS[1:]),
        (FACTS[0], "c0df", *FACTS[2:]),
        (*FACTS[:2], {"flow": "tvl1", "head": True}, FACTS[3]),
        (*FACTS[:2], {"flow": "dis", "head": False}, FACTS[3]),
        (*FACTS[:2], {"flow": "dis"}, FACTS[3]),
        (*FACTS[:3], ["b", "a"]),
        (*FACTS[:3], ["a"]),
        (*FACTS[:3], ["ab"]),
    ],
)
def test_each_fact_has_a_say_in_the_key(other):
    assert make_key(*FACTS) != make_key(*other)


def test_the_order_of_settings_has_none():
    assert make_key(*FACTS) == make_key(*FACTS[:2], {"head": True, "flow": "dis"}, iter("ab"))


def test_one_changed_byte_changes_a_hash():
    assert hash_content(b"frame") != hash_content(b"framf")


@pytest.mark.parametrize("write", ["save", "write_table"])
def test_a_full_disk_stops_in_one_line_and_leaves_nothing_behind(store, monkeypatch, write):
    def fill(path: Path, *arguments: object, **settings: object) -> None:
        with path.open("wb") as file:
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda table, path, **_: fill(path))
    arguments = ("motion", "ab12", ARRAYS) if write == "save" else ("points", pd.DataFrame())
    with pytest.raises(StopError, match=r"No space left on device.*a folder with room") as error:
        getattr(store, write)(*arguments)
    assert isinstance(error.value, InputError)
    assert "\n" not in str(error.value)
    assert files(store) == []


def test_a_folder_that_cannot_be_made_is_told_with_the_setting(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StopError, match=r"features\.root"):
        Store(tmp_path / "file").save("motion", "ab12", ARRAYS)


def test_tables_keep_text_as_it_is(store):
    table = pd.DataFrame({"sample_id": ["007", "NA"], "key": ["", "ab"], "reason": ["a, b", ""]})
    store.write_table("points", table)
    pd.testing.assert_frame_equal(store.read_table("points"), table, check_dtype=False)


def test_a_table_that_is_no_table_is_as_good_as_absent(store, caplog):
    store.write_table("points", pd.DataFrame({"key": ["ab"]}))
    (file,) = files(store)
    file.write_bytes(b"\xff\xfe\x00")
    assert store.read_table("points") is None
    assert "damaged" in caplog.text
