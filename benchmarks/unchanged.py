"""Net under changes of layout: checksums of what fifty small commands of merec give.

python -m benchmarks.unchanged record FILE [NAME …]    before the change
python -m benchmarks.unchanged compare FILE [NAME …]   after it; exit code 1 if anything differs

Every verb, backbone, engine and task has a run, by the command line, on flow maps of noise in which the class
shows and on a few rendered faces. Of a run count its predictions, scores, tables, what it printed and its
page with all pictures; times, commits, hashes of code and temporary folders are left out. FILE names the
libraries, for other versions of them give other numbers. It takes some seven minutes of one core.
"""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console

SUBJECTS = {"casme2": ("sub01", "sub02"), "samm": ("006", "007"), "smic": ("s01", "s02")}
LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "torch",
    "pytorch-lightning",
    "mediapipe",
    "matplotlib",
)
FLOW = (
    "corpus=megc2019_flow corpus.root={flow} corpus.name=small corpus.expected=null trainer=cpu logger=none "
    "trainer.max_epochs=3 recipe.optimizer.lr=1e-2"
)
FACES = (
    "corpus=synthetic corpus.root={faces} corpus.name=faces corpus.classes=3 trainer=cpu logger=none "
    "trainer.max_epochs=2"
)
GROUPS = "task=loso task.hold_out=groups task.groups=2"
ESTIMATED = "task=baseline task.hold_out=groups task.groups=2"
UNITS = "task.target=action_units"
UNITS_LEARNT = f"{UNITS} loss=binary_cross_entropy"
POINTS = "backbone=lite_point_gcn features.points.k=16"
VIEWS = "backbone=dual_view datamodule.size=32"
# What is done first; then the runs, side by side, each in a folder of its name; then what reads them.
PREPARATION = {
    "synthesize": (
        "synthesize root={faces} subjects=6 samples=6 macro=6 unlabelled=6 frames=key zero_motion=0"
    ),
    "prepare": "prepare corpus=synthetic corpus.root={faces} corpus.name=faces corpus.classes=3 all=true",
}
RUNS = {
    # Flow maps: every backbone by its engines, estimators, ways of holding out and of starting.
    "ststnet": f"train {FLOW} task=loso backbone=ststnet task.engine=loop",
    "ststnet-padding": f"train {FLOW} task=loso backbone=ststnet backbone.padding=2 task.engine=loop",
    "ststnet-stacked": f"train {FLOW} task=loso backbone=ststnet task.engine=stacked task.chunk=4",
    "ststnet-processes": f"train {FLOW} task=loso backbone=ststnet task.engine=processes task.workers=2",
    "off_apexnet": f"train {FLOW} task=loso backbone=off_apexnet task.engine=loop",
    "off_apexnet-stacked": f"train {FLOW} task=loso backbone=off_apexnet task.engine=stacked",
    "dual_inception": f"train {FLOW} task=loso backbone=dual_inception task.engine=loop folds=0-1",
    "rcn_a": f"train {FLOW} task=loso backbone=rcn_a task.engine=loop folds=0-1",
    "rcn_a-stacked": f"train {FLOW} task=loso backbone=rcn_a task.engine=stacked folds=0-1",
    "mmnet": f"train {FLOW} task=loso backbone=mmnet task.engine=loop folds=0 trainer.max_epochs=1",
    "htnet": f"train {FLOW} task=loso backbone=htnet task.engine=loop folds=0 trainer.max_epochs=1",
    "htnet_light": f"train {FLOW} task=loso backbone=htnet_light task.engine=loop folds=0-1",
    "htnet_light-processes": f"train {FLOW} task=loso backbone=htnet_light task.engine=processes folds=0-1",
    "inner": f"train {FLOW} task=loso backbone=ststnet task.selection=inner task.inner_parts=2 folds=0-1",
    "hold_out-corpus": f"train {FLOW} task=loso backbone=ststnet task.hold_out=corpus",
    "hold_out-groups": f"train {FLOW} task=loso backbone=ststnet task.hold_out=groups task.groups=2 seed=1",
    "focal": f"train {FLOW} task=loso backbone=ststnet loss=focal datamodule.balanced=true folds=0-1",
    "finetune": f"train {FLOW} task=finetune backbone=ststnet fold=1",
    "logged": f"train {FLOW} task=loso backbone=ststnet logger=wandb",
    "macro": f"train {FACES} task=pretrain backbone=ststnet datamodule=fused fold=0",
    "network": f"train {FACES} task=finetune backbone=ststnet datamodule=fused",
    **{
        f"estimator-{name}": f"train {FLOW} task=baseline task.estimator={name}"
        for name in ("logistic", "rbf_svm_nested", "deformation_ridge", "half_face_committee")
    },
    # Rendered faces: representations, modalities, pretraining and action units.
    "points-rgb": f"train {FACES} {GROUPS} {POINTS} datamodule=rgb",
    "points-depth": f"train {FACES} {GROUPS} {POINTS} datamodule=depth",
    "points-fused": f"train {FACES} {GROUPS} {POINTS} datamodule=fused",
    "points-units": f"train {FACES} {GROUPS} {POINTS} datamodule=fused {UNITS_LEARNT}",
    "points-macro": f"train {FACES} {GROUPS} {POINTS} datamodule=fused task.pretrain=macro",
    "views-rgb": f"train {FACES} {GROUPS} {VIEWS} datamodule=rgb",
    "views-depth": f"train {FACES} {GROUPS} {VIEWS} datamodule=depth",
    "views-macro": f"train {FACES} {GROUPS} {VIEWS} datamodule=fused task.pretrain=macro",
    "views-contrast": (
        f"train {FACES} {GROUPS} {VIEWS} datamodule=fused task.pretrain=contrastive "
        "task.pretrain_epochs=2 task.contrast.negatives=8 task.least_intensity=0 recipe.pretrain.batch_size=8"
    ),
    "views-samples": (
        f"train {FACES} {GROUPS} backbone=dual_view_tuned datamodule.size=32 datamodule=fused {UNITS_LEARNT} "
        "task.pretrain=contrastive task.pretrain_epochs=null task.pretrain_steps=4 task.pool.source=samples "
        "task.freeze=encoder recipe.pretrain.batch_size=8"
    ),
    "clip": f"train {FACES} {GROUPS} backbone=r3d_18 datamodule.size=32 folds=0 trainer.max_epochs=1",
    "flow-fused": f"train {FACES} {GROUPS} backbone=ststnet datamodule=fused",
    "flow-units": f"train {FACES} {ESTIMATED} task.estimator=logistic datamodule=fused {UNITS}",
    "true-units": f"train {FACES} {ESTIMATED} task.estimator=true_action_units",
}
AFTER = {
    "report-flow": "report {runs}/ststnet {runs}/off_apexnet {runs}/estimator-logistic",
    "report-units": "report {runs}/points-units {runs}/views-samples {runs}/flow-units",
    "compare": "compare {runs}/ststnet {runs}/estimator-logistic",
    "compare-units": "compare {runs}/points-units {runs}/flow-units",
    "dashboard": "dashboard {runs}/logged",
    "doctor": "doctor corpus=synthetic corpus.root={faces} corpus.name=faces corpus.classes=3",
    "inspect": "inspect corpus=synthetic corpus.root={faces} corpus.name=faces corpus.classes=3 count=2",
    "predict": "predict {clip} checkpoint={runs}/network/checkpoint.ckpt",
}
_KEPT = {".csv", ".md", ".tex", ".html", ".svg"}
_NAMES = {"metrics.json", "tracked", "workspace.json", "report.json"}
_VARYING = (  # in this order
    (r"[0-9a-f]{40}|\b[0-9a-f]{7}\+?\b(?= |,|<|$)|(?<=<td>)[0-9a-f]{12}\+?(?=</td>)", "COMMIT"),
    (r"(confusion|curves)-[0-9a-f]{16}", "PICTURE"),  # named by the hash of code
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?Z?", "TIME"),
    (
        r"\b[\d.]+ of them to find|\d+(\.\d+)? (s|ms|min|h|GB|MB|MiB|GiB|frames/s|samples/s)\b",
        "AMOUNT",
    ),
    (r"offline-run-[\w-]+|(?<=/)[0-9a-z]{8}\b", "RUN"),
)
# How long training took stands in tables and pictures.
_SPENT = re.compile(r'("seconds"): [\d.e+-]+')


def make_flow(root: Path) -> None:
    """Write a corpus of thirty flow maps of six subjects, in which the class shows."""
    rng, rows, maps = np.random.default_rng(0), [], []
    for name, subjects in SUBJECTS.items():
        for subject in subjects:
            for number in range(5):
                label = (number + len(rows)) % 3
                face = rng.integers(90, 160, size=(3, 28, 28))
                face[label, 6:22, 6:22] += 60
                rows.append((f"{subject}_c{number}", name, subject, f"c{number}", label))
                maps.append(face.astype(np.uint8))
    root.mkdir()
    np.savez(root / "flow.npz", flow=np.stack(maps), sample_id=np.array([row[0] for row in rows]))
    with (root / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", "dataset", "subject", "filename", "label"])
        writer.writerows(rows)


def run_all(place: Path, chosen: list[str]) -> dict[str, dict[str, str]]:
    """Run the chosen commands, all if none is named, and return the checksums of what each gave."""
    make_flow(place / "flow")
    do, given = partial(_run, place), {}
    rounds = (PREPARATION, 1), (RUNS, os.cpu_count() or 1), (AFTER, 1)
    for commands, workers in rounds:
        names = [
            name for name in commands if commands is PREPARATION or not chosen or name in chosen
        ]
        with ThreadPoolExecutor(workers) as pool:
            for name, sums in zip(
                names, pool.map(do, names, (commands[n] for n in names)), strict=True
            ):
                given[name] = sums
    return given


def _run(place: Path, name: str, command: str) -> dict[str, str]:
    clip = next(iter(sorted(place.glob("faces/spNO.*/*"))), place)
    names = {"flow": place / "flow", "faces": place / "faces", "runs": place / "runs", "clip": clip}
    verb, *words = command.format(**names).split()
    folder = place / "runs" / name
    if verb == "train":
        words.append(f"hydra.run.dir={folder}")
    elif verb not in ("synthesize", "prepare", "doctor"):
        words.append(f"out={folder}")
    environment = {
        **os.environ,
        "MEREC_CACHE": str(place / "cache"),
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
    }
    (place / "work" / name).mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "merec", verb, *words],
        cwd=place / "work" / name,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    for file in (*folder.glob("environment.json"), *folder.glob("folds/*/fold.json")):
        file.write_text(_SPENT.sub(r"\1: 1.0", file.read_text(encoding="utf-8")), encoding="utf-8")
    actual = {"exit code": str(done.returncode), "stdout": _hash(done.stdout, place)}
    if done.returncode:
        actual["error"] = (done.stderr.strip().splitlines() or [""])[-1].replace(
            str(place), "PLACE"
        )
    for root in (folder, place / "work" / name):
        for file in sorted(_list_files(root)):
            actual[str(file.relative_to(root))] = _hash(file.read_text(encoding="utf-8"), place)
    return actual


def _list_files(root: Path) -> Iterator[Path]:
    for file in root.rglob("*"):
        if (
            file.is_file()
            and (file.suffix in _KEPT or file.name in _NAMES)
            and "wandb" not in file.parts
        ):
            yield file


def _hash(text: str, place: Path) -> str:
    text = text.replace(str(place), "PLACE")
    for pattern, word in _VARYING:
        text = re.sub(pattern, word, text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe_changes(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> list[str]:
    """List what differs, a line per file: what it was and what it is."""
    lines = []
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            lines.append(f"{name}: {'new' if old is None else 'gone'}")
            continue
        lines += [
            f"{name}, {file}: {old.get(file, 'absent')} was, {new.get(file, 'absent')} is"
            for file in old.keys() | new.keys()
            if old.get(file) != new.get(file)
        ]
    return sorted(lines)


def main(arguments: list[str]) -> int:
    """Record or compare; the exit code."""
    console = Console()
    if len(arguments) < 2 or arguments[0] not in ("record", "compare"):
        console.print(__doc__, markup=False)
        return 2
    verb, file, *chosen = arguments
    place = Path(tempfile.mkdtemp(prefix="merec-unchanged-"))
    try:
        given = run_all(place, chosen)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    libraries = {name: version(name) for name in LIBRARIES}
    failed = sorted(name for name, sums in given.items() if sums["exit code"] != "0")
    console.print(
        f"{len(given)} commands, {sum(map(len, given.values()))} checksums; other exit codes than 0: {failed}"
    )
    if verb == "record":
        text = json.dumps({"libraries": libraries, "given": given}, indent=1, sort_keys=True)
        Path(file).write_text(text + "\n", encoding="utf-8")
        return 0
    recorded = json.loads(Path(file).read_text(encoding="utf-8"))
    if recorded["libraries"] != libraries:
        console.print(f"recorded with other libraries: {recorded['libraries']}")
    before = {name: sums for name, sums in recorded["given"].items() if not chosen or name in given}
    lines = describe_changes(before, given)
    console.print("\n".join(lines) or "nothing differs", markup=False, soft_wrap=True)
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
