"""Plug-ins are found without being imported, their choices are merec's, and no name has two meanings."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from merec.cli.completion import complete
from merec.config import compose_node
from merec.config_groups import home, list_choices, list_groups
from merec.config_schema import register
from merec.plugins import Plugin, list_flags, list_modules, list_plugins, name_folders

CODE = "raise RuntimeError('a plug-in is imported before it is used')\n"
BACKBONE = "_target_: {package}.Net\n_partial_: true\nwidth: 8\n"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a test names to itself."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("MEREC_CONFIG_DIR", "PYTHONPATH"):
        monkeypatch.setenv(name, "")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a package with choices into a folder, which is returned."""

    def make(package: str, *choices: str, code: str = CODE, folder: str = "project") -> Path:
        root = tmp_path / folder
        (root / package / "conf").mkdir(parents=True)
        (root / package / "__init__.py").write_text(code)
        for choice in choices:
            file = root / package / "conf" / f"{choice}.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(BACKBONE.format(package=package))
        return root

    return make


def install(root: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a folder on Python's path as pip would leave it there."""
    facts = root / f"{package}-0.1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    (facts / "entry_points.txt").write_text(f"[merec.plugins]\n{package} = {package}\n")
    monkeypatch.syspath_prepend(str(root))


@pytest.mark.parametrize("flag", ["--config-dir {}", "--config-dir={}", "-cd {}", "-cd={}"])
def test_a_named_folder_is_found_and_other_arguments_are_kept(write, flag):
    root = write("net_a", "backbone/net_a")
    words = ["-m", *flag.format(root).split(), "seed=0,1"]
    assert name_folders(words) == ["-m", "seed=0,1"]
    assert list_plugins() == (Plugin(("net_a",), root / "net_a" / "conf"),)
    assert list_flags() == [f"--config-dir={root}"]
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == sys.path[0] == str(root)
    assert "net_a" not in sys.modules


def test_an_installed_package_is_found_by_its_entry_point(write, monkeypatch):
    root = write("net_b", "backbone/net_b", "corpus/faces_b")
    install(root, "net_b", monkeypatch)
    assert Plugin(("net_b",), root / "net_b" / "conf") in list_plugins()
    assert "net_b" in list_modules()
    assert {"net_b", "ststnet"} <= {*list_choices("backbone")}
    assert {"faces_b", "casme3"} <= {*list_groups()["corpus"]}
    assert "net_b" not in sys.modules


def test_of_a_package_that_is_installed_and_named_the_named_one_counts(write, monkeypatch):
    install(write("net_c", "backbone/net_c", folder="site"), "net_c", monkeypatch)
    root = write("net_c", "backbone/net_c")
    name_folders(["-cd", str(root), "-cd", str(root)])
    assert [entry for entry in list_plugins() if "net_c" in entry.modules] == [
        Plugin(("net_c",), root / "net_c" / "conf")
    ]
    assert list_choices("backbone").count("net_c") == 1


def test_a_folder_may_be_a_conf_itself_with_modules_beside(tmp_path):
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "net_d.yaml").write_text(BACKBONE.format(package="net_d"))
    for name in ("net_d", "subprocess"):
        (tmp_path / f"{name}.py").write_text(CODE)
    name_folders([f"--config-dir={tmp_path}"])
    assert list_plugins() == (Plugin(("net_d",), tmp_path),)  # nothing of Python's own is trusted
    assert "net_d" in list_choices("backbone")


@pytest.mark.parametrize("name", ["logging", "merec"])
def test_a_plug_in_does_not_vouch_for_code_of_python_or_merec(merec, write, monkeypatch, name):
    assert "neither a package with conf/ nor" in merec("report", "-cd", str(write(name))).stderr
    install(write("site_h", folder="site"), "site_h", monkeypatch)
    (entry,) = Path(sys.path[0]).glob("*/entry_points.txt")
    entry.write_text(f"[merec.plugins]\na = {name}\n")
    assert name not in list_modules()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config-dir"], "--config-dir names no folder; give --config-dir FOLDER"),
        (["-cd", "--help-me"], "-cd names no folder"),
        (["--config-dir="], "--config-dir names no folder"),
        (["--config-dir", "nowhere"], "--config-dir=nowhere does not exist; give a folder"),
        (["--config-dir", "file"], "--config-dir=file is no folder; give a folder"),
        (["--config-dir", "empty"], "holds neither a package with conf/ nor choices such as"),
        (["--config-dir", "a:b"], "--config-dir=a:b has : in its path"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "doctor", "report"])
def test_a_folder_without_plug_in_is_refused_by_every_verb(
    merec, tmp_path, verb, arguments, message
):
    (tmp_path / "file").touch()
    for name in ("empty", "a:b"):
        (tmp_path / name).mkdir()
    done = merec(verb, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_name_that_two_places_define_is_refused_with_both(merec, write):
    one, other = write("net_e", "backbone/same"), write("net_f", "backbone/same", folder="other")
    files = [root / "conf/backbone/same.yaml" for root in (one / "net_e", other / "net_f")]
    rows = write("net_g", "backbone/ststnet", folder="third")
    for verb in (["train"], ["doctor", "corpus=casme3"]):
        done = merec(*verb, "-cd", str(one), "-cd", str(other))
        assert done.returncode == 2
        assert "backbone=same is defined by " in done.stderr
        assert all(str(file) in done.stderr for file in files)
        done = merec(*verb, "-cd", str(rows))
        assert "backbone=ststnet is defined by " in done.stderr
        assert "conf/backbone/ststnet.yaml and by" in done.stderr
        assert len(done.stderr.splitlines()) == 1


NET = """
class Net:
    reads = "points"
"""


def test_a_backbone_without_recipe_takes_the_default_one_in_what_its_class_reads(
    write, monkeypatch
):
    root = write("net_h", "backbone/net_h", "backbone/net_i", code=NET)
    recipe = root / "net_h" / "conf" / "recipe" / "net_i.yaml"
    recipe.parent.mkdir()
    recipe.write_text("# @package _global_\ndatamodule: {representation: views, channels: null}\n")
    name_folders(["-cd", str(root)])
    register()
    monkeypatch.setenv("MEREC_HOME", str(home()))
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(home() / "conf"), version_base="1.3"):
        cfg = compose("config", ["backbone=net_h"])
        assert "net_h" not in sys.modules
        assert cfg.recipe.optimizer.lr == 1e-3
        assert cfg.datamodule.representation == "points"
        assert compose("config", ["backbone=net_i"]).datamodule.representation == "views"
        assert compose("config", ["backbone=ststnet", "recipe=default"]).trainer.max_epochs == 40


def test_choices_of_plug_ins_are_composed_suggested_and_completed(write, merec):
    code = "def Net(width: int):\n    return width\n"
    root = write("net_j", "corpus/faces_j", code=code)
    done = merec("doctor", "-cd", str(root), "corpus=face_j")
    assert "there is no corpus=face_j; did you mean faces_j?" in done.stderr
    assert merec("doctor", "corpus=faces_j").stderr.startswith("merec: error: there is no corpus=")
    assert complete(["doctor", f"--config-dir={root}", "corpus=faces"], []) == ["corpus=faces_j"]
    assert complete(["doctor", "--config-dir", ""], []) == []
    assert compose_node("corpus", ["corpus=faces_j", "corpus.width=3"]).width == 3


def test_the_help_of_train_lists_the_choices_of_plug_ins(merec, write):
    root = write("net_k", "backbone/net_k")
    page = merec("train", "--help", "--config-dir", str(root)).stdout
    backbones = page.partition("  backbone ")[2].partition("  corpus ")[0]
    assert "net_k" in backbones.replace("\n", " ").replace(",", " ").split()
