"""The verbs as a user types them: what they say when something is wrong, and that nothing is left behind."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def one_line_error(done) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("merec: error: ")
    return lines[0]


def test_help_names_every_verb_and_imports_nothing_heavy():
    code = (
        "import sys, merec.__main__ as m; sys.argv = ['merec', '--help']; m.main();"
        "print([n for n in ('torch', 'pandas', 'numpy', 'hydra', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for verb in ("train", "report", "compare"):
        assert f"  {verb} " in done.stdout


def test_the_config_is_shown_without_importing_torch(tmp_path):
    code = (
        "import sys, merec.__main__ as m; sys.argv = ['merec', 'train', '--cfg', 'job'];"
        "code = m.main(); print('torch' in sys.modules, code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "False 0"
    assert "_target_: merec.backbones.STSTNet" in done.stdout


def test_an_unknown_verb_is_refused_with_those_there_are(merec):
    assert "there is no verb trian; there are train, report, compare" in one_line_error(
        merec("trian")
    )


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("backbone.widht=3", "backbone.widht"),
        ("backbone.dropuot=0.1", "did you mean dropout?"),
        ("sed=3", "did you mean seed?"),
        ("backbon=ststnet", "did you mean backbone?"),
        ("backbone=ststnot", "ststnot"),
        ("corpus.root=nowhere", "corpus.root=nowhere does not exist"),
    ],
)
def test_a_wrong_override_is_one_line_and_leaves_nothing(merec, tmp_path, override, hint):
    assert hint in one_line_error(merec("train", override))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("folds=6", "folds are 0 to 5"),
        ("folds=0-6", "folds are 0 to 5"),
        ("folds=two", "folds=two is not understood"),
        ("task.engine=warp", "task.engine=warp is unknown"),
        ("task.selection=best", "task.selection=best is unknown"),
        ("datamodule.channels=[u,w]", "datamodule.channels has w"),
    ],
)
def test_a_wrong_value_is_one_line_and_leaves_nothing(merec, tmp_path, small, override, hint):
    assert hint in one_line_error(merec("train", *small, override))
    assert list(tmp_path.iterdir()) == []


def test_a_fold_out_of_range_is_refused_by_finetune(merec, small):
    message = one_line_error(merec("train", *small, "task=finetune", "fold=6"))
    assert "folds are 0 to 5" in message


def test_a_truncated_file_and_a_row_without_a_map_are_named(merec, tmp_path, small_root, small):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "samples.csv").write_bytes((small_root / "samples.csv").read_bytes())
    (broken / "flow.npz").write_bytes((small_root / "flow.npz").read_bytes()[:5000])
    message = one_line_error(merec("train", *small, f"corpus.root={broken}"))
    assert "flow.npz cannot be read" in message

    (broken / "flow.npz").write_bytes((small_root / "flow.npz").read_bytes())
    with (broken / "samples.csv").open("a") as table:
        table.write("s03_c9,smic,s03,c9,1\n")
    message = one_line_error(merec("train", *small, f"corpus.root={broken}"))
    assert "samples.csv, line 32: sample s03_c9 has no map" in message
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_a_corpus_of_other_counts_is_named(merec, small_root):
    message = one_line_error(merec("train", f"corpus.root={small_root}"))
    assert "samples: 30 found, 442 expected" in message
    assert "subjects: 6 found, 68 expected" in message


def test_report_and_compare_refuse_what_is_no_run(merec, tmp_path):
    assert "no folder" in one_line_error(merec("report", str(tmp_path / "absent")))
    assert "needs run folders" in one_line_error(merec("report"))
    assert "needs two runs, not 1" in one_line_error(merec("compare", "x"))
    assert "does not know ouf=x" in one_line_error(merec("report", "ouf=x"))


def test_the_console_script_and_the_module_are_the_same(tmp_path: Path):
    script = Path(sys.executable).with_name("merec")
    if not script.exists():
        pytest.skip("merec is run from a checkout that is not installed")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("merec ")
    assert np.all([part.isdigit() for part in done.stdout.split()[1].split(".")])
