"""Whatever is wrong with a file of a run folder, every verb that reads it says so in one line."""

import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra

from merec.__main__ import main
from merec.errors import InputError
from merec.evaluation.pooling import pool_runs
from merec.evaluation.runs import find_runs
from merec.run_folder import RunFolder
from merec.run_folder.checkpoint import read_checkpoint

READERS = ("report", "compare", "dashboard", "train", "weights")
FILES = (
    *("config.yaml", "environment.json", "metrics.json", "predictions.csv", "wandb_id", "tracked"),
    *("folds/000/predictions.csv", "folds/000/epochs.npz", "folds/000/fold.json"),
    "folds/000/checkpoint.ckpt",
)


@pytest.fixture(scope="module")
def overrides(small) -> list[str]:
    """A short run that is logged to W&B, offline."""
    return [*small, "task=loso", "task.engine=loop", "logger=wandb", "trainer.max_epochs=2"]


@pytest.fixture(scope="module")
def whole(overrides, tmp_path_factory) -> Path:
    """A finished run."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "argv", ["merec", "train", *overrides, f"hydra.run.dir={root / 'run'}"])
        GlobalHydra.instance().clear()
        handlers = [*logging.getLogger().handlers]
        assert main() == 0
        logging.getLogger().handlers = handlers
    return root / "run"


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def swap_middle(file: Path) -> None:
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(range(40))
    file.write_bytes(bytes(content))


def write(content: bytes) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(content) and None


def dump(content: object) -> Callable[[Path], None]:
    """Write a value as the file's kind holds it."""

    def damage(file: Path) -> None:
        if file.suffix == ".yaml":
            file.write_text(yaml.safe_dump(content))
        elif file.suffix == ".npz":
            np.savez(file, **content if isinstance(content, dict) else {"x": np.array(1)})
        elif file.suffix == ".ckpt":
            torch.save(content, file)
        else:
            file.write_text(json.dumps(content))

    return damage


def lose(count: int) -> Callable[[Path], None]:
    """Leave out an entry of the file, or change its kind."""

    def damage(file: Path) -> None:
        if file.suffix == ".npz":
            with np.load(file) as arrays:
                content = {name: arrays[name] for name in arrays.files}
            name = list(content)[count % len(content)]
            content[name] = (
                content[name][:-1] if count < len(content) else content[name].astype("S4")
            )
            np.savez(file, **content)
            return
        if file.suffix == ".csv":
            rows = [line.split(",") for line in file.read_text().splitlines()]
            width = len(rows[0])
            rows = [[cell for n, cell in enumerate(row) if n != count % width] for row in rows]
            file.write_text("\n".join(map(",".join, rows)) + "\n")
            return
        if file.suffix == ".ckpt":
            content = torch.load(file, weights_only=True)
            facts = content["merec"]
            facts[list(facts)[count % len(facts)]] = [3, {"a": None}]
            torch.save(content, file)
            return
        try:
            content = (yaml.safe_load if file.suffix == ".yaml" else json.loads)(file.read_text())
        except ValueError:
            content = None
        if not isinstance(content, dict):
            file.write_bytes(b"\xff")
            return
        names = list(content)
        content[names[count % len(names)]] = 3 if count < len(names) else [{"a": [None]}]
        dump(content)(file)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "folder": as_folder,
    "cut": cut,
    "swapped": swap_middle,
    "empty": lambda file: file.write_bytes(b"") and None,
    "nul": write(b"\0" * 200),
    "latin": write(b"\xe9\xff\xfe"),
    "list": dump([1, 2]),
    "scalar": dump(3),
    "mapping": dump({"a": 1}),
    "lines": write(b'a,b\n1\n1,2,3\n"\n'),
    **{f"entry {count}": lose(count) for count in range(24)},
}


def call(verb: str, run: Path, overrides: list[str], root: Path) -> list[str]:
    if verb == "report":
        return ["report", str(run), f"out={root / 'report'}"]
    if verb == "compare":
        return ["compare", str(run), str(root / "other")]
    if verb == "dashboard":
        return ["dashboard", str(run), f"out={root / 'board'}"]
    if verb == "weights":
        file = run / "folds/000/checkpoint.ckpt"
        new = f"hydra.run.dir={root / 'new'}"
        return ["train", *overrides, "folds=0", f"task.weights={file}", "logger=none", new]
    return ["train", *overrides, f"hydra.run.dir={run}"]


def check(done, what: str) -> None:
    """Either it worked, or one line says which file."""
    assert "Traceback" not in done.stderr, f"{what}: {done.stderr}"
    assert done.returncode in (0, 2), f"{what}: {done.returncode} {done.stderr}"
    if done.returncode:
        (line,) = [x for x in done.stderr.splitlines() if x.startswith("merec: error: ")]
        assert len(line) < 900, f"{what}: {line}"


def try_all(merec, whole, overrides, tmp_path, damages, verbs) -> None:
    shutil.copytree(whole, tmp_path / "other", symlinks=True)
    wrong = []
    for file in FILES:
        for name in damages:
            for verb in verbs:
                if verb == "weights" and not file.endswith(".ckpt"):
                    continue
                run = tmp_path / "run"
                shutil.rmtree(run, ignore_errors=True)
                shutil.rmtree(tmp_path / "new", ignore_errors=True)
                shutil.copytree(whole, run, symlinks=True)
                DAMAGES[name](run / file)
                what = f"{verb} {file} {name}"
                try:
                    check(merec(*call(verb, run, overrides, tmp_path)), what)
                except BaseException as error:
                    wrong.append(f"{what}: {type(error).__name__}: {str(error)[:900]}")
    assert not wrong, "\n\n".join(wrong)


def read_all(run: Path) -> str:
    """Read every file of a run; what the first that is refused says, or ""."""
    try:
        (result,) = pool_runs(find_runs([run]))
        result.read_optimism()
        RunFolder(run).read_tracked()
        RunFolder(run).read_scores(result.target)
        RunFolder(run).read_wandb_id()
        RunFolder(run).fold(0).read_notes()
        read_checkpoint(run / "folds/000/checkpoint.ckpt")
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["folder", "cut", "swapped", "list"])
def test_a_damaged_file_of_a_run_is_named_in_one_line(whole, tmp_path, name):
    for number, file in enumerate(FILES):
        if file == "predictions.csv":  # merec writes this one anew, from those of the folds
            continue
        run = tmp_path / str(number)
        shutil.copytree(whole, run, symlinks=True, ignore=shutil.ignore_patterns("wandb"))
        DAMAGES[name](run / file)
        line = read_all(run)
        if name == "folder":
            assert f"{run / file} is a folder, expected a file; " in line
        elif line:
            assert str(run) in line
            assert "; " in line
            assert "\n" not in line


def choose(verb: str) -> list[str]:
    """Fewer damages for the verbs that compute much once they have read."""
    slow = verb in ("report", "dashboard")
    return [name for n, name in enumerate(DAMAGES) if not slow or n < 10 or n % 4 == 3]


@pytest.mark.slow
@pytest.mark.parametrize("verb", READERS)
def test_no_damage_of_any_file_is_a_traceback_in_any_verb(merec, whole, overrides, tmp_path, verb):
    try_all(merec, whole, overrides, tmp_path, choose(verb), [verb])
