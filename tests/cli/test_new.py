"""`merec new` writes a package that passes its own test, and takes nobody's name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_new_package_is_four_small_files_and_passes_its_own_test(merec, tmp_path):
    names = {"backbone": "tiny_net", "corpus": "tiny_set"}
    for kind, name in names.items():
        done = merec("new", kind, name)
        assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 3)
        files = [file for file in (tmp_path / name).rglob("*") if file.is_file()]
        assert len(files) == 4
        assert max(len(file.read_text().splitlines()) for file in files) < 80
        assert f"{name}/{name}/conf/{kind}/{name}.yaml" in done.stdout
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *names.values()]
    tested = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout
    for name in names.values():
        assert len(re.findall(rf"test_{name}\.py::.* PASSED", tested.stdout)) == 1


def test_it_is_written_where_root_says(merec, tmp_path):
    done = merec("new", "backbone", "tiny", f"root={tmp_path}/own/net")
    assert done.returncode == 0
    assert (tmp_path / "own/net/tiny/conf/backbone/tiny.yaml").is_file()
    assert f"pip install {tmp_path}/own/net " in done.stdout
    text = (tmp_path / "own/net/tiny/__init__.py").read_text()
    assert "class Tiny(nn.Module)" in text
    assert "@" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "merec new does not know what to write; it takes merec new backbone NAME"),
        (["backbone"], "merec new does not know backbone; it takes merec new backbone NAME"),
        (["recipe", "tiny"], "merec new does not know recipe tiny"),
        (["backbone", "tiny", "out=x"], "merec new does not know backbone tiny out=x"),
        (["backbone", "2d"], "'2d' cannot name a package of Python"),
        (["backbone", "my-net"], "'my-net' cannot name a package"),
        (["backbone", "../net"], "'../net' cannot name a package"),
        (["backbone", "class"], "'class' cannot name a package"),
        (["backbone", "_net"], "'_net' cannot name a package"),
        (["backbone", "ststnet"], "there is a backbone=ststnet already; give another name"),
        (["corpus", "casme3"], "there is a corpus=casme3 already"),
        (["backbone", "torch"], "there is a module torch already"),
        (["corpus", "json"], "there is a module json already"),
        (["backbone", "taken"], "taken is there already; give another root=FOLDER"),
        (["backbone", "tiny", "root=taken"], "taken is there already; give another root=FOLDER"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(merec, tmp_path, arguments, message):
    (tmp_path / "taken").mkdir()
    done = merec("new", *arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert message in done.stderr
    assert [*tmp_path.rglob("*")] == [Path(tmp_path / "taken")]


BAD_ROWS = {
    "01;a;3;;positive": "row 0 from 0 (row 2 of the sheet), 01_a: apex is empty",
    "01;a;3;46?;positive": "row 0 from 0 (row 2 of the sheet), 01_a: apex '46?'",
    "01;a;3;9;other": "(row 2 of the sheet), 01_a: emotion 'other'",
    "p01;a;3;9;positive\nP01;b;3;9;positive": "subjects p01 and P01 of tiny_one are one person",
}


def test_a_bad_row_of_a_new_corpus_is_one_line_with_file_and_remedy(merec, tmp_path):
    assert merec("new", "corpus", "tiny_one").returncode == 0
    choice = ("--config-dir", "tiny_one", "corpus=tiny_one", f"corpus.root={tmp_path}")
    for rows, message in BAD_ROWS.items():
        (tmp_path / "samples.csv").write_text(f"subject;clip;onset;apex;emotion\n{rows}\n")
        done = merec("prepare", *choice)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert message in done.stderr
        assert "samples.csv" in done.stderr
