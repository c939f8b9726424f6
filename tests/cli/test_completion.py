"""The tab key completes verbs, groups, choices and keys, in the shells themselves."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from merec.cli.completion import SCRIPTS, complete
from merec.config_groups import list_choices, list_groups

VERBS = ["train", "report", "compare", "doctor"]


@pytest.fixture
def shells(tmp_path: Path, monkeypatch):
    """Run a script in a shell in which `merec` is this checkout."""
    command = tmp_path / "merec"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m merec "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")

    def run(shell: str, script: str) -> list[str]:
        if shutil.which(shell) is None:
            pytest.skip(f"there is no {shell} here")
        flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
        done = subprocess.run(
            [shell, *flags, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.split()

    return run


def ask_bash(line: str) -> str:
    """Complete a line as bash does at the tab key, without its readline."""
    return (
        'eval "$(merec completion bash)"; '
        f"COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; _merec; "
        'printf "%s\\n" "${COMPREPLY[@]}"; complete -p merec >/dev/null'
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param(*("merec tra", ["train"]), marks=pytest.mark.slow),
        pytest.param(*("merec train backb", ["backbone.", "backbone="]), marks=pytest.mark.slow),
        ("merec train backbone=stst", ["ststnet"]),  # bash keeps what lies before "="
        ("merec train -m backbone=rcn_a,stst", ["rcn_a,ststnet"]),
        pytest.param(*("merec train datamodule.bat", ["datamodule.batch_size="]), marks=pytest.mark.slow),
        ("merec train backbone=htnet backbone.vec", ["backbone.vector_positions=",
         "backbone.vector_positions=false", "backbone.vector_positions=true"]),
        ("merec doctor corpus=casme", ["casme2", "casme3"]),
        ("merec doctor de", ["deep="]),
    ],
)  # fmt: skip
def test_bash_completes_verbs_groups_choices_and_keys(shells, line, words):
    assert shells("bash", ask_bash(line)) == words


def test_zsh_completes_choices(shells):
    script = (
        "compdef() { :; }; compadd() { shift 3; print -l -- $@; }; "
        'eval "$(merec completion zsh)"; words=(merec train backbone=stst); CURRENT=3; _merec'
    )
    assert shells("zsh", script) == ["backbone=ststnet"]


def test_fish_completes_choices(shells):
    script = "merec completion fish | source; complete -C 'merec train backbone=stst'"
    assert shells("fish", script) == ["backbone=ststnet"]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_every_shell_calls_the_verb_that_answers(merec, shell):
    done = merec("completion", shell)
    assert done.returncode == 0
    assert "completion words" in done.stdout


def test_every_group_and_its_choices_are_offered():
    groups = list_groups()
    for group in ("corpus", "backbone", "task", "trainer", "loss", "logger"):
        assert groups[group] == list_choices(group)
        assert f"{group}=" in complete(["train", ""], VERBS)
    assert "paper/dual_view" in groups["experiments"]
    assert "joblib" in groups["hydra/launcher"]


def test_an_unknown_shell_and_hydra_s_own_completion_lead_to_the_verb(merec, tmp_path):
    done = merec("completion", "tcsh")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "bash, zsh, fish, not tcsh" in done.stderr
    for more in ("zsh", "out=x"):
        done = merec("completion", "bash", more)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"takes one shell, not {more} too" in done.stderr
    done = merec("train", "-sc", "install=bash")
    assert done.returncode == 2
    assert 'eval "$(merec completion bash)"' in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_completion_imports_nothing_heavy():
    code = (
        "import sys; from merec.cli.completion import complete; complete(['train', 'datamodule.'], []);"
        "print([n for n in ('torch', 'scipy', 'matplotlib', 'wandb') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
