"""The verbs as a user types them: what they say when something is wrong, and that nothing is left behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from merec.cli import VERBS
from merec.cli.completion import OPTIONS
from merec.cli.help import describe_verbs

ROOT = Path(__file__).parent.parent


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
    for verb in ("train", "report", "compare", "dashboard", "doctor"):
        assert f"  {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_names_its_options_and_examples_and_no_other_verb_first(merec, verb):
    for flag in ("--help", "-h"):
        done = merec(verb, flag)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"merec {verb}: ")
        assert f"usage: merec {verb} " in done.stdout
        assert "Examples:\n" in done.stdout
    if verb != "train":
        options = set(OPTIONS[verb]) - {"bash", "zsh", "fish"}
        assert all(option.rstrip("=") in done.stdout for option in options)
        assert (
            f"\n  {verb:<11} " + done.stdout.partition(": ")[2].partition("\n")[0]
            in describe_verbs()
        )


def test_pages_that_help_names_exist(merec):
    pages = {
        page for verb in VERBS for page in re.findall(r"docs/[\w/]+\.md", merec(verb, "-h").stdout)
    }
    assert len(pages) > 8
    assert all((ROOT / page).is_file() for page in pages)


def test_help_of_train_lists_choices_and_studies_with_their_question(merec):
    page = merec("train", "--help").stdout
    assert "  datamodule   depth, fused, rgb\n" in page
    assert "  task         baseline, finetune, loso, pretrain\n" in page
    assert "_clips" not in page
    assert "  callbacks" not in page  # there is one
    assert re.search(r"  learning_curve_synthetic +How many subjects does a network need\?\n", page)


def test_a_sample_in_another_case_is_named_as_it_is(merec, rendered):
    where = ("corpus=synthetic", f"corpus.root={rendered}")
    sample = one_line_error(merec("inspect", "nobody", *where)).split()[-2].strip(",")
    done = one_line_error(merec("inspect", sample.swapcase(), *where))
    assert done.endswith(f"there is no sample {sample.swapcase()}; did you mean {sample}?")


def test_a_launcher_named_as_that_of_a_plugin_warns_of_nothing():
    code = "from merec.config import compose_node; compose_node('corpus', ['experiments=demo'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


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


# Subject, clip, onset, apex, offset, action units, emotion
ROWS = [
    ("spNO.1", "a", 5, 9, 14, "4", "disgust"),
    ("spNO.1", "b", 3, 6, 11, "R12", "happy"),
    ("spNO.2", "a", 1, 4, 9, "1+2", "surprise"),
    ("spNO.2", "c", 20, 24, 30, "17", "others"),
    ("spNO.3", "c", 8, 12, 17, "4+7", "fear"),
    ("spNO.3", "d", 2, 5, 8, "12", "happy"),  # a class of one subject would be a finding
    ("spNO.1", "d", 2, 5, 8, "2", "surprise"),
    ("spNO.1", "e", 2, 5, 8, "14", "others"),
]


def write_annotation(root: Path, rows: list[tuple]) -> None:
    columns = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "emotion"]
    file = root / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    pd.DataFrame(rows, columns=columns).to_excel(file, sheet_name="label", index=False)


@pytest.fixture
def casme3(tmp_path: Path) -> Path:
    """A corpus in the full layout of CAS(ME)^3 with all its frames."""
    root = tmp_path / "casme3"
    rng = np.random.default_rng(0)
    for subject, clip, onset, _, offset, *_ in ROWS:
        folder = root / subject / clip
        (folder / "color").mkdir(parents=True)
        (folder / "depth").mkdir()
        for number in range(onset, offset + 1):
            pixels = rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "color" / f"{number}.jpg")
            depth = rng.integers(800, 1000, (16, 24), dtype=np.uint16)
            Image.fromarray(depth).save(folder / "depth" / f"{number}.png")
    write_annotation(root, ROWS)
    return root


@pytest.fixture
def doctor(merec, casme3):
    """Call the doctor on that corpus."""
    return lambda *more: merec(
        "doctor",
        "corpus=casme3",
        f"corpus.root={casme3}",
        "corpus.expected=null",
        "corpus.intrinsics=null",
        "jobs=1",
        *more,
    )


def test_the_doctor_finds_nothing_where_nothing_is_wrong(doctor, tmp_path):
    done = doctor("strict=true")  # its frames show no faces, which deep=true would tell
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing was found." in done.stdout
    assert "8 samples, 3 subjects; negative 2, positive 2, surprise 2, others 2" in done.stdout
    table = (tmp_path / "runs" / "doctor" / "casme3.csv").read_text()
    assert table == "severity,kind,where,row_from_0,sample_id,found,remedy\n"


def test_the_doctor_names_a_lost_frame_a_blank_depth_map_swapped_frames_and_a_wrong_class(
    doctor, casme3, tmp_path
):
    (casme3 / "spNO.1" / "a" / "color" / "9.jpg").unlink()
    depth = casme3 / "spNO.1" / "b" / "depth" / "6.png"
    Image.fromarray(np.zeros((16, 24), np.uint16)).save(depth)
    rows = [list(row) for row in ROWS]
    rows[2][2:4] = 4, 1
    rows[3][6] = "othres"
    write_annotation(casme3, rows)
    done = doctor("out=found.csv")
    assert done.returncode == 1
    actual = pd.read_csv(tmp_path / "found.csv")
    table = actual[actual["severity"] == "error"].set_index("row_from_0")
    assert table["kind"].to_dict() == {
        0: "missing frame",
        1: "empty depth",
        2: "onset after apex",
        3: "unknown class",
    }
    for kind in table["kind"]:
        assert f"error: {kind} (1)" in done.stdout


def test_warnings_fail_the_doctor_only_if_strict_and_no_table_is_written_if_not_wanted(
    doctor, casme3, tmp_path
):
    (casme3 / "spNO.1" / "a" / "color" / "7.jpg").unlink()
    assert doctor("out=null").returncode == 0
    assert doctor("out=null", "strict=true").returncode == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "needs corpus=NAME; there are casme2, casme3, "),
        (["corpus=casme4"], "there is no corpus=casme4; did you mean casme3?"),
        (["corpus=casme3", "corpus.roto=x"], "corpus.roto: corpus has no roto; did you mean root?"),
        (["corpus=casme3", "+corpus.roto=x"], "read_casme3 has no roto; did you mean root?"),
        (["casme3"], "does not know casme3; it takes KEY=VALUE, e.g. corpus=casme3"),
        (["corpus=casme3", "depe=true"], "does not know depe=true; did you mean deep=?"),
        (["corpus=casme3", "seed=3"], "it takes corpus=, experiments=, deep="),
        (["corpus=casme3", "deep=yes"], "deep=yes is not understood"),
        (["corpus=casme3", "jobs=0"], "jobs=0 is not understood"),
        (["corpus=casme3", "corpus.root="], "corpus.root is empty; give a folder"),
        (
            ["corpus=casme3", "corpus.exclude={a:1}"],
            "corpus.exclude={a:1} is not understood; expected a list: [a,b]",
        ),
        (
            ["corpus=casme3", "corpus.expected=[1]"],
            "corpus.expected=[1] is not understood; expected entries by name",
        ),
        (["corpus=casme3", "corpus.root=nowhere"], "corpus.root=nowhere is no folder"),
    ],
)
def test_the_doctor_refuses_what_it_does_not_know(merec, tmp_path, arguments, hint):
    message = merec("doctor", *arguments)
    assert hint in message.stderr
    assert (message.returncode, "Traceback" in message.stderr) == (2, False)
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_does_without_torch(small_root, tmp_path):
    code = (
        "import sys, merec.__main__ as m; sys.argv = ['merec', 'doctor', 'corpus=megc2019_flow',"
        f"{f'corpus.root={small_root}'!r}, 'corpus.expected=null', 'out=null'];"
        "code = m.main(); print('torch' in sys.modules, code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "False 0"
    assert "30 flow maps" in done.stdout


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("backbone.widht=3", "backbone.widht"),
        ("backbone.dropuot=0.1", "did you mean dropout?"),
        ("sed=3", "did you mean seed?"),
        ("backbon=ststnet", "did you mean backbone?"),
        ("backbone=ststnot", "ststnot"),
        ("corpus=megc2019_flow corpus.root=nowhere", "corpus.root=nowhere does not exist"),
    ],
)
def test_a_wrong_override_is_one_line_and_leaves_nothing(merec, tmp_path, override, hint):
    assert hint in one_line_error(merec("train", *override.split()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("folds=6", "folds are 0 to 5"),
        ("folds=0-6", "folds are 0 to 5"),
        ("folds=two", "folds=two; expected numbers of folds as 7, 0-9"),
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
    message = one_line_error(merec("train", "corpus=megc2019_flow", f"corpus.root={small_root}"))
    assert "samples: 30 found, 442 expected" in message
    assert "subjects: 6 found, 68 expected" in message


def test_report_and_compare_refuse_what_is_no_run(merec, tmp_path):
    assert "no folder" in one_line_error(merec("report", str(tmp_path / "absent")))
    assert "needs run folders" in one_line_error(merec("report"))
    assert "needs two runs or more, not 1" in one_line_error(merec("compare", "x"))
    assert "does not know ouf=x" in one_line_error(merec("report", "ouf=x"))
    message = one_line_error(merec("report", str(tmp_path), "sheets=absent"))
    assert message.startswith("merec: error: sheets=absent is no folder")
    assert "it takes reference=, out=" in one_line_error(merec("compare", "a", "b", "refrence=A"))


def test_the_console_script_and_the_module_are_the_same(tmp_path: Path):
    script = Path(sys.executable).with_name("merec")
    if not script.exists():
        pytest.skip("merec is run from a checkout that is not installed")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("merec ")
    assert np.all([part.isdigit() for part in done.stdout.split()[1].split(".")])


SUBJECTS_OF_TABLE = ("annotation=t.xlsx", "subjects=1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["synthesize", "annotation=t.xlsx", "subjects=1", "samples=1"],
            "subjects and samples have no effect beside an annotation",
        ),
        (["synthesize", "annotation=t.xlsx", "samples=1"], "samples has no effect beside an"),
        (
            ["prepare", "corpus=synthetic", "unlabelled=true", "all=true"],
            "all=true has no effect with unlabelled=true",
        ),
        (
            ["prepare", "corpus=synthetic", "unlabelled=true", "strict=true"],
            "strict=true has no effect with unlabelled=true",
        ),
        (["inspect", "spNO.1_a_5", "corpus=synthetic", "count=3"], "count= has no effect beside"),
        (["report", "runs", "out=a", "out=b"], "out= is given twice, as out=a and out=b"),
        (["compare", "a", "b", "out=a", "out=b"], "out= is given twice, as out=a and out=b"),
        (["doctor", "corpus=casme3", "jobs=1", "jobs=2"], "jobs= is given twice"),
        (["prepare", "corpus=casme3", "corpus=samm"], "corpus= is given twice"),
        (
            ["prepare", "corpus=synthetic", "out=x.xlsx"],
            "out=x.xlsx ends in .xlsx, but what is wri",
        ),
        (["report", ".", "out=x.html"], "out=x.html is named as a file is"),
        *(
            (
                [verb, "corpus=synthetic", "corpus.root=here", "corpus.render.macro=3"],
                "corpus.render.macro has no effect on corpus.root=here",
            )
            for verb in ("doctor", "prepare", "inspect", "train")
        ),
        *(
            (
                [verb, "corpus=synthetic", *(f"corpus.render.{key}" for key in SUBJECTS_OF_TABLE)],
                "corpus.render.subjects has no effect beside an annotation",
            )
            for verb in ("doctor", "train")
        ),
    ],
)
def test_an_option_that_would_not_be_followed_is_refused(merec, tmp_path, arguments, message):
    (tmp_path / "t.xlsx").touch()
    assert message in one_line_error(merec(*arguments))
    assert [path.name for path in tmp_path.iterdir()] == ["t.xlsx"]


def run_in_shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    command = command.replace("merec", f"{sys.executable} -m merec")
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=folder, env=environment
    )


def test_closed_streams_change_no_exit_code(tmp_path):
    assert run_in_shell("merec trian 2>&-", tmp_path).returncode == 2
    assert run_in_shell("merec completion bash >&-", tmp_path).returncode == 0
    done = run_in_shell("merec trian <&- >&-", tmp_path)
    assert "there is no verb trian" in one_line_error(done)


def test_a_deleted_current_folder_is_said(tmp_path):
    (tmp_path / "gone").mkdir()
    done = run_in_shell("cd gone; rmdir ../gone; merec doctor corpus=synthetic", tmp_path)
    assert "the current folder was deleted" in one_line_error(done)


def test_a_folder_that_cannot_be_made_is_named_with_its_key(merec, tmp_path):
    (tmp_path / "file").touch()
    message = one_line_error(merec("train", f"hydra.run.dir={tmp_path}/file/run"))
    assert (
        f"{tmp_path}/file/run cannot be made or opened (Not a directory); set hydra.run" in message
    )


@pytest.mark.parametrize("place", ["run/.lock", "run/train.log"])
def test_a_folder_in_the_place_of_a_file_of_a_run_is_named(merec, tmp_path, small, place):
    (tmp_path / place).mkdir(parents=True)
    done = merec("train", *small, "logger=none", f"hydra.run.dir={tmp_path / 'run'}")
    assert str(tmp_path / place) in one_line_error(done)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_fold_that_is_a_link_to_nothing_is_named(merec, tmp_path, small):
    link = tmp_path / "run" / "folds" / "000"
    link.parent.mkdir(parents=True)
    link.symlink_to("/absent/x")
    done = merec("train", *small, "logger=none", f"hydra.run.dir={tmp_path / 'run'}")
    assert f"{link} is a link to /absent/x, which is not there" in one_line_error(done)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_run_folder_that_is_deleted_while_it_is_trained_is_named(
    merec, tmp_path, small, monkeypatch
):
    from merec.tasks.fold_runner import FoldWriter

    run, write = tmp_path / "run", FoldWriter.write

    def write_and_lose(self, *arguments):
        write(self, *arguments)
        shutil.rmtree(run)

    monkeypatch.setattr(FoldWriter, "write", write_and_lose)
    chosen = ["task=baseline", "task.estimator=logistic", "logger=none", f"hydra.run.dir={run}"]
    done = merec("train", *small, *chosen)
    assert done.returncode == 2
    assert f"{run} was deleted or moved while its folds were trained" in done.stderr
    assert done.stderr.count("merec: error:") == 1


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks")
def test_the_server_of_worker_processes_does_not_hear_ctrl_c():
    code = (
        "import signal; from multiprocessing import forkserver; from merec.forkserver import start_server;"
        "start_server(); mask = open(f'/proc/{forkserver._forkserver._forkserver_pid}/status').read();"
        "import os; os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL);"
        "print([line for line in mask.splitlines() if line.startswith('SigBlk')][0].split()[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if (os.cpu_count() or 1) < 2:
        pytest.skip("no server is started on one core")
    assert int(done.stdout, 16) & (1 << (signal.SIGINT - 1))
