"""Commands of the documentation: merec understands each, and the slow tests run them page by page.

A comment before a fenced block names what a reader needs and a test does not have: `<!-- commands: data -->`
licensed or own data, `<!-- commands: elsewhere -->` a network, a cluster or an account.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import open_dict

from merec.cli import VERBS
from merec.cli.train_arguments import check_arguments
from merec.config import compose_node
from merec.config_check import check
from merec.config_groups import home
from merec.config_schema import register

PAGES = [home() / "README.md", *sorted((home() / "docs").glob("tutorial/*.md"))]
PAGES += sorted((home() / "docs").glob("howto/*.md"))
BLOCK = re.compile(
    r"""(?:<!-- commands: (\w+) -->\n)?^```(?:bash|\w+ title="([^"\n]+)")\n(.*?)^```""", re.M | re.S
)
MISSING = re.compile(
    r"(is|are) (no|not a) (folder|file)|does not exist|holds no|there is no (clip|file)", re.I
)


class Command(NamedTuple):
    """A command of a page, or a file that its reader writes.

    Attributes:
        needs: What its block needs beside merec, or "".
        file: Path of the file; "" for a command.
        line: The command, or the content of the file.
    """

    needs: str
    file: str
    line: str

    @property
    def words(self) -> list[str]:
        """Its words as a shell splits them."""
        return shlex.split(self.line, comments=True)

    def write(self, folder: Path) -> None:
        """Write its file as the reader of the page would."""
        place = folder / self.file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(self.line, encoding="utf-8")


def read_commands(page: Path) -> list[Command]:
    """Read the commands of a page in their order."""
    actual = []
    for needs, file, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = [body] if file else body.replace("\\\n", " ").splitlines()
        actual += [Command(needs, file, line) for line in lines]
    return [command for command in actual if command.file or command.words]


def choose_first(text: str) -> str:
    """Return an override with the first of the values that a multirun varies."""
    override = OverridesParser.create().parse_override(text)
    if not override.is_sweep_override():
        return text
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"


def compose_training(merec, arguments: list[str]) -> None:
    """Compose the first job of a `merec train` and check it against the code."""
    if {"--config-dir", "--cfg"} & {*arguments}:
        flags = [] if "--cfg" in arguments else ["--cfg", "job"]
        if "-m" in arguments:  # the first job
            words = [word for word in arguments if not word.startswith(("-m", "hydra.sweep."))]
            arguments = [choose_first(word) if "=" in word else word for word in words]
        done = merec("train", *arguments, *flags)
        assert done.returncode == 0, done.stderr
        return
    overrides = [text for text in check_arguments(arguments) if not text.startswith("-")]
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(home() / "conf"), version_base="1.3"):
        cfg = compose("config", list(map(choose_first, overrides)), return_hydra_config=True)
    with open_dict(cfg):
        del cfg["hydra"]
    check(cfg)


def understand(merec, words: list[str]) -> None:
    """Check that merec understands a command, without data and without training."""
    verb, *arguments = words[1:]
    assert verb in VERBS, f"there is no verb {verb}"
    if {"--help", "-h"} & {*arguments} or verb == "new":
        done = merec(verb, *arguments)
        assert done.returncode == 0, done.stderr
    elif verb == "train":
        compose_training(merec, arguments)
    elif verb == "synthesize":
        keys = {*compose_node("corpus", ["corpus=synthetic"])["render"], "root", "jobs", "corpus"}
        assert {text.partition("=")[0] for text in arguments} <= keys
    else:
        rendered = any(text.startswith("corpus=synthetic") for text in arguments)
        given = any(text.startswith("corpus.root=") for text in arguments)
        nowhere = ["corpus.root=nowhere"] * (rendered and not given)  # or it would be rendered
        done = merec(verb, *arguments, *nowhere)
        assert done.returncode == 2, done.stdout + done.stderr
        assert MISSING.search(done.stderr), done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_merec_understands_every_command_of_a_page(merec, page, tmp_path, monkeypatch):
    monkeypatch.setenv("MEREC_HOME", str(home()))
    for command in read_commands(page):
        if command.file:
            command.write(tmp_path)
        elif command.words[0] == "merec":
            understand(merec, command.words)
        elif command.words[0] == "make":
            make = ["make", "-n", "-C", str(home()), *command.words[1:]]
            assert subprocess.run(make, capture_output=True, check=False).returncode == 0


def test_tutorial_and_how_to_pages_have_commands():
    assert [page.stem for page in PAGES[1:] if not read_commands(page)] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_as_written(page, tmp_path, find_local):
    find_local("face_landmarker")
    find_local("anny")
    environment = os.environ | {
        "PYTHONPATH": str(home()),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for command in read_commands(page):
        if command.file:
            command.write(tmp_path)
        if command.file or command.needs or command.words[0] == "make":
            continue
        done = subprocess.run(
            ["bash", "-c", command.line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command.line}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
def test_the_row_that_a_page_reproduces_is_the_one_that_it_quotes(merec, real_maps):
    page = home() / "docs/howto/reproduce.md"
    (command,) = [entry for entry in read_commands(page) if "logistic" in entry.line]
    line = command.line.replace("/data/megc2019_flow", str(real_maps / "megc2019_flow"))
    done = merec(*shlex.split(line)[1:])
    assert done.returncode == 0, done.stderr
    (file,) = Path.cwd().rglob("metrics.json")
    scores = json.loads(file.read_text())["scores"]["Full"]
    quoted = re.search(r"UF1 (\.\d+) .*UAR (\.\d+) ", page.read_text(encoding="utf-8"))
    assert quoted
    assert quoted.groups() == tuple(f"{scores[name]['value']:.4f}"[1:] for name in ("uf1", "uar"))
