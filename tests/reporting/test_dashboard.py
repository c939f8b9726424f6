"""A dashboard names what runs logged, is the same each time, and stays here unless asked for."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from rich.console import Console
from wandb_workspaces.reports.v2 import internal as report_models
from wandb_workspaces.workspaces import internal as workspace_models

from merec.evaluation.runs import find_runs
from merec.presentation.numbers_and_captions import format_number
from merec.run_folder import RunFolder
from merec.run_folder.logged_keys import Keys, Tracked
from merec.tracking.dashboard import write_dashboard
from merec.tracking.sweep import find_varied
from merec.types import InputError

KEYS = Keys(config=["name"], scores=["uf1", "uar"], tables=["predictions"])


def write(paths: list[Path], out: Path, online: bool | None = None) -> str:
    """Return the printed text."""
    console = Console(file=io.StringIO(), width=200)
    write_dashboard(paths, out, online, console)
    return console.file.getvalue()


def find(node: Any, key: str) -> Iterator[Any]:
    """Every value of a key anywhere in JSON."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    if isinstance(node, dict) and key in node:
        yield node[key]
    for child in children:
        yield from find(child, key)


@pytest.fixture(scope="module")
def dashboard(offline_runs, tmp_path_factory) -> tuple[dict[str, Any], str]:
    """Both files, and what was printed."""
    out = tmp_path_factory.mktemp("dashboard")
    printed = write([offline_runs.root / "runs"], out)
    names = ("workspace", "report")
    return {name: json.loads((out / f"{name}.json").read_text()) for name in names}, printed


@pytest.mark.parametrize("name", ["workspace", "report"])
def test_every_name_in_it_is_one_that_a_run_logged(dashboard, offline_runs, name: str) -> None:
    spec, runs = dashboard[0][name], offline_runs.read()
    history = {key for run in runs for key in run.history}
    summary = {key for run in runs for key in run.summary}
    types = {key: kind for run in runs for key, kind in run.list_types().items()}

    # As W&B spells them: config:choices.value.method, summary:uf1, and bare what has a history.
    accessors = {*find(spec, "accessor"), *find(spec, "yAxis")}
    accessors |= {x for x in find(spec, "xAxis") if ":" in str(x)}
    accessors |= {name for visible in find(spec, "columnVisible") for name in visible}
    accessors -= {"run:displayName"}
    scores = {a.removeprefix("summary:") for a in accessors if a.startswith("summary:")}
    settings = {a.removeprefix("config:") for a in accessors if a.startswith("config:")}
    assert len(scores) + len(settings) == len(accessors)
    settings |= {by for by in find(spec, "groupBy") if by}
    metrics = {metric for several in find(spec, "metrics") for metric in several}
    metrics |= {x for x in find(spec, "xAxis") if str(x).startswith("curves/")}
    for key in [*find(spec, "keys"), *find(spec, "filters")]:
        for place in find(key, "key"):
            if place["section"] == "summary":
                scores.add(place["name"])
            else:
                assert (place["section"], place["name"]) == ("run", "group")

    assert {"uf1", "protocol_hash", "split", "optimism/best_epoch_uf1", "cost/parameters"} <= scores
    assert scores <= summary
    assert {"uf1_low", "uf1_high", "curves/epoch", "curves/train_loss_90"} <= metrics
    assert metrics <= history
    assert {"choices.value.method", "choices.value.datamodule"} <= settings
    for setting in settings:
        parts = setting.split(".")
        assert parts.pop(1) == "value"
        assert any(run.has_setting(".".join(parts)) for run in runs), setting

    pictures = {key for keys in find(spec, "mediaKeys") for key in keys}
    assert {"confusion", "scores", "learning_curves", "optimism_meter"} == pictures
    assert {types[key] for key in pictures} == {"image-file"}
    tables = {inputs["key"]["val"] for inputs in find(spec, "inputs") if "key" in inputs}
    assert tables == {"subjects", "predictions"}
    queried = {
        arg["value"] for args in find(spec, "args") for arg in args if arg["name"] == "tableKey"
    }
    assert queried == {"confusion_counts"}
    assert {types[key] for key in tables | queried} == {"table-file"}
    groups, hashes, splits = filter_values(spec)
    assert groups == {run.group for run in runs}
    assert hashes == {run.summary["protocol_hash"] for run in runs}
    assert splits == {run.summary["split"] for run in runs}


def filter_values(spec: Any) -> list[set[str]]:
    """The groups, protocols and splits whose runs are shown."""
    leaves = [
        leaf for several in find(spec, "filters") if isinstance(several, list) for leaf in several
    ]
    return [
        {value for leaf in leaves if leaf["key"]["name"] == key for value in leaf["value"]}
        for key in ("group", "protocol_hash", "split")
    ]


def test_the_columns_that_the_confusion_matrix_reads_are_those_of_its_table(
    dashboard, offline_runs
) -> None:
    (fields,) = find(dashboard[0]["workspace"], "fieldSettings")
    for run in offline_runs.read():
        (file,) = run.folder.rglob("confusion_counts*.table.json")
        table = json.loads(file.read_text())
        assert set(fields.values()) <= set(table["columns"])
        predicted = pd.read_csv(run.folder / "predictions.csv", keep_default_na=False)
        counted = pd.DataFrame(table["data"], columns=table["columns"])
        assert counted["samples"].sum() == len(predicted)
        right = counted[counted["true"] == counted["predicted"]]["samples"].sum()
        assert right == (predicted["label"] == predicted["predicted"]).sum()


def test_each_question_has_its_section_and_the_report_has_the_tables_of_today(
    dashboard, offline_runs
) -> None:
    (sections,) = find(dashboard[0]["workspace"], "sections")
    titles = [section["name"] for section in sections]
    assert titles == [
        "UF1 by choice",
        "Parallel coordinates",
        "Confusion matrices",
        "Subjects",
        "Predictions",
        "Optimism",
        "Calibration",
        "Learning curves",
        "Cost",
    ]
    blocks = dashboard[0]["report"]["spec"]["blocks"]
    headings = [block["children"][0]["text"] for block in blocks if block["type"] == "heading"]
    assert headings == titles
    written = "\n".join(block["content"] for block in blocks if block["type"] == "markdown-block")
    for run in offline_runs.read():
        if run.job_type == "baseline":
            assert format_number(run.summary["uf1"]) in written
    assert "Best epoch on test" in written


def test_what_is_written_is_what_wandb_reads_back(dashboard) -> None:
    specs, _ = dashboard
    view = workspace_models.View.model_validate(specs["workspace"])
    workspace = ws.Workspace._from_model(view)
    assert workspace.project == "merec"
    assert sum(len(section.panels) for section in workspace.sections) > 20
    assert drop_layout(to_json(workspace)) == drop_layout(specs["workspace"])
    assert to_json(view) == specs["workspace"]
    report = wr.Report._from_model(report_models.ReportViewspec.model_validate(specs["report"]))
    grids = [block for block in report.blocks if isinstance(block, wr.PanelGrid)]
    assert len(grids) == len(workspace.sections)
    unknown = {"UnknownPanel", "UnknownBlock"}
    panels = [panel for part in [*grids, *workspace.sections] for panel in part.panels]
    assert not unknown & {type(entry).__name__ for entry in [*panels, *report.blocks]}


def to_json(content: Any) -> Any:
    """Return it as W&B stores it."""
    model = content._to_model() if hasattr(content, "_to_model") else content
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def drop_layout(node: Any) -> Any:
    """Without the places of panels, which wandb_workspaces forgets of tables when it reads them."""
    if isinstance(node, dict):
        return {key: drop_layout(value) for key, value in node.items() if key != "layout"}
    return [drop_layout(value) for value in node] if isinstance(node, list) else node


def test_the_same_runs_give_the_same_files(offline_runs, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write([offline_runs.root / "runs"], tmp_path / name)
    for file in ("workspace.json", "report.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert len(list((tmp_path / "a").iterdir())) == 2


def test_what_it_holds_is_printed_with_the_command_that_uploads_the_runs(
    dashboard, offline_runs
) -> None:
    _, printed = dashboard
    for text in ("UF1 by method", "optimism/gap_uf1", "3 runs; W&B project merec", "online=true"):
        assert text in printed
    (line,) = [line for line in printed.splitlines() if "wandb sync " in line]
    assert line.startswith("3 of 3 runs")
    folders = line.partition("wandb sync ")[2].split()
    assert {Path(folder) for folder in folders} == {
        file.parent for file in offline_runs.root.rglob("*.wandb")
    }


def test_a_baseline_alone_has_no_empty_sections(offline_runs, tmp_path: Path) -> None:
    write([offline_runs.root / "runs" / "megc2019_flow" / "baseline"], tmp_path)
    written = (tmp_path / "report.json").read_text()
    assert "UF1 by choice" in written
    for absent in ("curves/", "optimism/", "cost/parameters", "Learning curves"):
        assert absent not in written


@pytest.fixture
def tracked_run(tmp_path: Path, index: pd.DataFrame, write_run: Callable) -> Callable[..., Path]:
    """A run folder with the record of a run that W&B knows."""

    def make(name: str, **changes: Any) -> Path:
        folder = write_run(tmp_path / name, index, name=name)
        record = Tracked("WandbLogger", "merec", None, "small/loso", "wandb/offline-run-x", KEYS)
        RunFolder(folder).write_tracked(replace(record, **changes))
        return folder

    return make


def test_groups_are_filtered_by_whatever_they_are_called(tracked_run, tmp_path: Path) -> None:
    groups = ["it's a=b <c>", "plain/loso"]
    runs = [tracked_run(str(number), group=group) for number, group in enumerate(groups)]
    write(runs, tmp_path / "out")
    for name in ("workspace", "report"):
        spec = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert filter_values(spec)[0] == set(groups)


def test_a_run_that_was_uploaded_is_not_to_be_uploaded_again(tracked_run, tmp_path: Path) -> None:
    runs = [tracked_run("a"), tracked_run("b")]
    for run in runs:
        (run / "wandb" / "offline-run-x").mkdir(parents=True)
    (runs[0] / "wandb" / "offline-run-x" / "run-x.wandb.synced").touch()
    printed = write(runs, tmp_path / "out")
    assert "1 of 2 runs are on this machine only" in printed
    assert f"wandb sync {runs[1] / 'wandb' / 'offline-run-x'}\n" in printed


def test_what_was_swept_besides_the_choices_gets_an_axis(
    index: pd.DataFrame, tmp_path: Path, write_run: Callable
) -> None:
    tasks = [
        {"freeze": f, "optimizer": {"lr": lr}, "seed": s}
        for f, lr, s in [("none", 0.1, 0), ("none", 0.01, 1), ("encoder", 0.1, 2)]
    ]
    runs = []
    for number, task in enumerate(tasks):
        folder = write_run(tmp_path / "runs" / str(number), index, name="net", task=task)
        keys = replace(KEYS, config=["name", "task.freeze", "task.optimizer.lr"])
        RunFolder(folder).write_tracked(Tracked("WandbLogger", "merec", None, "g", None, keys))
        runs.append(folder)
    assert find_varied(find_runs(runs)) == ["task.freeze", "task.optimizer.lr"]
    write(runs, tmp_path / "out", online=False)
    spec = json.loads((tmp_path / "out" / "workspace.json").read_text())
    axes = list(find(spec, "accessor"))
    assert axes == [
        "config:task.value.freeze",
        "config:task.value.optimizer.lr",
        "summary:uar",
        "summary:uf1",
    ]


def test_runs_of_two_projects_or_owners_are_refused_but_unknown_owners_are_not(
    tracked_run, tmp_path: Path
) -> None:
    here, there = tracked_run("here"), tracked_run("there", project="elsewhere")
    with pytest.raises(
        InputError, match=r"2 W&B projects: merec \(.*here\); elsewhere \(.*there\)"
    ):
        write([here, there], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    mine, yours = tracked_run("mine", entity="me"), tracked_run("yours", entity="you")
    with pytest.raises(InputError, match="me/merec"):
        write([mine, yours], tmp_path / "out")
    write([here, mine], tmp_path / "out")
    assert json.loads((tmp_path / "out" / "workspace.json").read_text())["entity"] == "me"


def test_a_named_run_that_wandb_does_not_know_is_refused_with_the_remedy(
    tracked_run, tmp_path: Path, index: pd.DataFrame, write_run: Callable
) -> None:
    silent = write_run(tmp_path / "silent", index)
    part = write_run(tmp_path / "part", index, folds="0-2")
    csv = tracked_run("csv", logger="CSVLogger", project=None, keys=Keys())
    old = tracked_run("old")
    (old / "tracked").write_text("WandbLogger\n")
    for folder, reason in (
        (
            silent,
            "silent was trained with logger=none, so W&B holds nothing of it; give its command again",
        ),
        (part, "holds out 3 of 7 subjects"),
        (csv, "was logged by CSVLogger, not by W&B, so"),
        (old, "delete .*tracked and give its command"),
    ):
        with pytest.raises(InputError, match=reason):
            write([folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_such_a_run_below_a_folder_is_passed_over_with_a_warning(
    tracked_run, tmp_path: Path, index: pd.DataFrame, write_run: Callable, caplog
) -> None:
    tracked_run("all/known")
    write_run(tmp_path / "all" / "silent", index, name="silent")
    assert "1 runs" in write([tmp_path / "all"], tmp_path / "out")
    assert "silent was trained with logger=none" in caplog.text


@pytest.mark.slow
def test_a_csv_run_gets_into_a_dashboard_by_its_own_command_without_training(
    merec, small: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    small = [*small, "task=baseline", "task.estimator=logistic", f"hydra.run.dir={run}"]
    assert merec("train", *small, "logger=csv").returncode == 0
    done = merec("dashboard", str(run), "out=board")
    assert (done.returncode, "logged by CSVLogger" in done.stderr) == (2, True)
    fold = run / "folds" / "000" / "predictions.csv"
    before = fold.stat().st_mtime_ns
    assert merec("train", *small, "logger=wandb").returncode == 0
    assert fold.stat().st_mtime_ns == before
    assert RunFolder(run).read_tracked().project == "merec"
    done = merec("dashboard", str(run), "out=board")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(file.name for file in (tmp_path / "board").iterdir()) == [
        "report.json",
        "workspace.json",
    ]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "needs run folders"),
        (["nowhere"], "nowhere is no folder"),
        ([".", "out=x"], "there is no run in"),
        ([".", "onlin=true"], "does not know onlin=true; it takes out=, online="),
        ([".", "online=maybe"], "online=maybe is not understood"),
    ],
)
def test_wrong_arguments_are_one_line(merec, tmp_path: Path, arguments, hint: str) -> None:
    done = merec("dashboard", *arguments)
    assert done.returncode == 2
    assert hint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_one_line(merec, tracked_run, tmp_path: Path) -> None:
    run = tracked_run("run")
    (tmp_path / "file").touch()
    done = merec("dashboard", str(run), f"out={tmp_path / 'file'}")
    assert done.returncode == 2
    assert "set out= to another place" in done.stderr


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Any]:
    """The command line of somebody without an account, whoever runs the tests, in an empty folder."""
    home = tmp_path / "home"
    home.mkdir()

    def call(run: Path, *arguments: str, account: dict[str, str] | None = None) -> Any:
        quiet = ("WANDB", "HYDRA_FULL_ERROR")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(quiet)}
        environment |= {"NETRC": str(home / "netrc"), "HOME": str(home), "COLUMNS": "120"}
        return subprocess.run(
            [sys.executable, "-m", "merec", "dashboard", str(run), "out=board", *arguments],
            cwd=home,
            env=environment | (account or {}),
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_online_without_an_account_is_one_line_and_writes_nothing(
    call, tracked_run, tmp_path: Path
) -> None:
    done = call(tracked_run("run"), "online=true")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(
        "merec: error: the dashboard cannot be saved in W&B (there is no account"
    )
    assert "run `wandb login`, or leave out online=true" in line
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.slow
def test_of_online_runs_it_is_written_here_if_there_is_no_account(
    call, tracked_run, tmp_path: Path
) -> None:
    done = call(tracked_run("run", local=None, entity="me"))
    assert done.returncode == 0, done.stderr
    assert "there is no account on this machine" in done.stderr
    assert (tmp_path / "home" / "board" / "workspace.json").exists()
    assert "wandb sync" not in done.stdout


@pytest.mark.slow
def test_with_an_account_it_is_saved_only_if_asked_for_and_brought_up_to_date(
    call, tracked_run, stand_in, tmp_path: Path, read_bytes
) -> None:
    run, account = tracked_run("run"), stand_in.account
    board = tmp_path / "home" / "board"
    assert call(run, account=account).returncode == 0
    assert call(tracked_run("online", local=None), "online=false", account=account).returncode == 0
    assert stand_in.told == []

    done = call(run, "online=true", account=account)
    assert done.returncode == 0, done.stderr
    workspace, report = stand_in.list_saved()
    written = {n: json.loads((board / f"{n}.json").read_text()) for n in ("workspace", "report")}
    assert json.loads(workspace["spec"]) == written["workspace"]["spec"]
    assert json.loads(report["spec"]) == written["report"]["spec"]
    for sent in (workspace, report):
        assert (sent["entityName"], sent["projectName"]) == ("lab", "merec")
    assert f"{account['WANDB_BASE_URL']}/lab/merec/reports/" in done.stdout

    assert call(run, account=account).returncode == 0
    assert len(stand_in.list_saved()) == 2
    assert call(run, "online=true", account=account).returncode == 0
    assert [sent["id"] for sent in stand_in.list_saved()[2:]] == ["view-1", "view-2"]
    other = tracked_run("other", group="small/baseline")
    assert call(other, "online=true", account=account).returncode == 0
    assert [sent.get("id") for sent in stand_in.list_saved()[4:]] == [None, None]
    # Of an online run the dashboard is online, too.
    assert call(tracked_run("asked", local=None), account=account).returncode == 0
    assert len(stand_in.list_saved()) == 8
    assert {path for path, _ in stand_in.told} == {"/graphql"}
    for name, content in read_bytes(tmp_path).items():
        assert account["WANDB_API_KEY"].encode() not in content, name


@pytest.mark.slow
def test_a_server_that_cannot_be_reached_is_one_line_and_writes_nothing(
    call, tracked_run, tmp_path: Path
) -> None:
    account = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40}
    done = call(tracked_run("run"), "online=true", account=account)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "the dashboard cannot be saved in W&B (" in line
    assert not (tmp_path / "home" / "board").exists()


@pytest.mark.slow
def test_a_server_that_refuses_is_one_line_and_the_json_is_kept(
    call, tracked_run, stand_in, tmp_path: Path
) -> None:
    stand_in.refuses = True
    done = call(tracked_run("run"), "online=true", account=stand_in.account)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "W&B did not take the dashboard (" in line
    assert len(list((tmp_path / "home" / "board").iterdir())) == 2
