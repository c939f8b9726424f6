"""The net under a change of layout tells what differs and only that."""

from pathlib import Path

from benchmarks.unchanged import _hash, describe_changes


def test_what_differs_is_listed_and_what_is_equal_is_not():
    before = {"a": {"x": "1", "y": "2"}, "b": {"x": "1"}}
    assert describe_changes(before, before) == []
    after = {"a": {"x": "1", "y": "3", "z": "4"}, "c": {}}
    assert describe_changes(before, after) == [
        "a, y: 2 was, 3 is",
        "a, z: absent was, 4 is",
        "b: gone",
        "c: new",
    ]


def test_places_times_and_commits_do_not_count_but_numbers_do():
    text = "at {}/runs: UF1 .7012, 2026-11-30 16:12:22, took 3.1 s at 0123abc, in all\n"
    one = _hash(text.format("/tmp/one"), Path("/tmp/one"))
    other = (
        text.replace("3.1 s", "12.9 s")
        .replace("16:12:22", "09:00:01")
        .replace("0123abc", "fedc321")
    )
    assert _hash(other.format("/tmp/two"), Path("/tmp/two")) == one
    assert _hash(text.replace(".7012", ".7013").format("/tmp/one"), Path("/tmp/one")) != one
