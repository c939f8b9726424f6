"""Run folders in, a W&B workspace and a W&B report out: as JSON, and online if that is asked for."""

import json
import logging
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from merec.evaluation.results import pool_runs
from merec.evaluation.runs import Run, find_runs
from merec.files import write_json
from merec.reporting.formats import print_table, write_markdown
from merec.reporting.notation import describe_results, format_list
from merec.reporting.summary import Summary, summarize
from merec.reporting.tables import (
    Table,
    lay_out_classes,
    lay_out_optimism,
    lay_out_scores_briefly,
)
from merec.reporting.tracked import Keys, Tracked, join_keys, read_tracked
from merec.settings import flatten, shared_settings
from merec.types import InputError

if TYPE_CHECKING:  # W&B takes a second to import
    from wandb_workspaces.reports.v2 import Report
    from wandb_workspaces.workspaces import Workspace

    from merec.reporting.panels import Section

log = logging.getLogger(__name__)

MOST_VARIED = 4  # settings that get an axis besides the choices


@dataclass(frozen=True)
class Sweep:
    """Runs that stand on one dashboard.

    Attributes:
        runs: Their folders, read back.
        tracked: What each told W&B.
    """

    runs: list[Run]
    tracked: list[Tracked]

    @property
    def project(self) -> str:
        """The one project of all."""
        return str(self.tracked[0].project)

    @property
    def entity(self) -> str:
        """Who owns the project; empty if no run says so, for it is then whoever syncs."""
        return next((tracked.entity for tracked in self.tracked if tracked.entity), "")

    @property
    def groups(self) -> list[str]:
        """Their groups, sorted."""
        return sorted({tracked.group for tracked in self.tracked if tracked.group})

    @property
    def keys(self) -> Keys:
        """All that any of them logged."""
        return join_keys(tracked.keys for tracked in self.tracked)

    @property
    def online(self) -> bool:
        """Whether all of them were logged online, which the user then asked for."""
        return all(tracked.local is None for tracked in self.tracked)

    @property
    def local(self) -> list[Path]:
        """What `wandb sync` would upload and has not yet."""
        pairs = zip(self.runs, self.tracked, strict=True)
        folders = [run.folder / tracked.local for run, tracked in pairs if tracked.local]
        return [
            folder for folder in folders if folder.exists() and not any(folder.glob("*.synced"))
        ]


def write_dashboard(
    paths: Sequence[Path], out: Path, online: bool | None = None, console: Console | None = None
) -> None:
    """Build a workspace and a report over runs, and print what they hold.

    Args:
        paths: Run folders, or folders that hold some; all of one protocol and one W&B project.
        out: Where to: `workspace.json` and `report.json`, as W&B takes them.
        online: Whether both are saved in the W&B account, too; `None`: if the runs themselves are online.
        console: Where to print; the terminal by default.

    Raises:
        InputError: If a path holds no run that was logged to W&B, projects or protocols differ, or there is
            no account to save to.
    """
    # Before wandb is imported: it says nothing, and tells its maker nothing of its own.
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    sweep = find_sweep(find_runs(paths))
    summary = summarize(pool_runs(sweep.runs))
    account = _find_account(sweep, online)
    from merec.reporting.panels import make_sections

    sections = make_sections(sweep.keys, find_varied(sweep.runs))
    entity = sweep.entity or account or ""
    workspace = make_workspace(sweep, summary, sections, entity)
    report = make_report(sweep, summary, sections, entity)
    _recall(out, workspace, report)
    _write(out, workspace, report)

    console = console or Console()
    print_table(console, lay_out_sections(sweep, summary, sections))
    for name in ("workspace.json", "report.json"):
        console.print(out / name, soft_wrap=True, highlight=False)
    if account:
        _save(workspace, report, out)
        _write(out, workspace, report)  # now they know where they are
        for address in (workspace.url, report.url):
            console.print(address, soft_wrap=True, highlight=False)
    for line in _say_what_is_local(sweep, paths, online=account is not None):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def find_sweep(runs: Sequence[Run]) -> Sweep:
    """The runs that were logged to W&B, with what each told it.

    Those that were only found below a folder that the user named are passed over with a warning.

    Raises:
        InputError: If a named run was not logged, none was, or projects differ.
    """
    kept: list[tuple[Run, Tracked]] = []
    missed: list[str] = []
    for run in runs:
        tracked = read_tracked(run.folder)
        if tracked is not None and tracked.project and tracked.keys.scores:
            kept.append((run, tracked))
            continue
        reason = _explain_silence(run, tracked)
        if run.named:
            raise InputError(reason)
        missed.append(reason)
    if not kept:
        raise InputError(missed[0])
    for reason in missed:
        log.warning("passed over: %s", reason)
    sweep = Sweep([run for run, _ in kept], [tracked for _, tracked in kept])
    _assert_one_project(sweep)
    return sweep


def _explain_silence(run: Run, tracked: Tracked | None) -> str:
    """Why a run has nothing to show, and what to do."""
    again = "nothing is trained again, it is only logged"
    held_out = run.predictions["subject"].nunique()
    if held_out < run.protocol.subjects:
        return (
            f"{run.folder} holds out {held_out} of {run.protocol.subjects} subjects, but W&B is told of "
            "whole runs only; `merec report` pools the others"
        )
    if tracked is None or not tracked.logger.endswith("WandbLogger"):
        found = f"logged by {tracked.logger}" if tracked else "not logged"
        return f"{run.folder} was {found}, not to W&B; give its command with logger=wandb: {again}"
    return (
        f"{run.folder} has no record of what W&B was told (an earlier merec, or logger.mode=disabled); "
        f"delete {run.folder / 'tracked'} and give its command with logger=wandb: {again}"
    )


def _assert_one_project(sweep: Sweep) -> None:
    """Refuse runs of several projects; an offline run of no known owner goes with any."""
    places: dict[str, Path] = {}
    for run, tracked in zip(sweep.runs, sweep.tracked, strict=True):
        places.setdefault(f"{tracked.entity or sweep.entity}/{tracked.project}", run.folder)
    if len(places) > 1:
        found = "; ".join(f"{place.strip('/')} ({folder})" for place, folder in places.items())
        raise InputError(
            f"these runs are of {len(places)} W&B projects: {found}; a dashboard is of one: give the runs of "
            "one of them"
        )


def find_varied(runs: Sequence[Run]) -> list[str]:
    """Dotted settings that differ between runs of one name: what was swept besides the choices.

    What the task does comes before how its parts do it; at most `MOST_VARIED`.
    """
    by_name: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        settings = flatten(shared_settings(run.config))
        by_name.setdefault(run.environment["name"], []).append(settings)
    varied: dict[str, None] = {}
    for same in by_name.values():
        for key, value in same[0].items():
            plain = value is None or isinstance(value, str | int | float)
            if plain and any(other.get(key) != value for other in same[1:]):
                varied[f"task.{key}"] = None
    return sorted(varied, key=lambda key: key.count("."))[:MOST_VARIED]


def make_workspace(
    sweep: Sweep, summary: Summary, sections: "Sequence[Section]", entity: str
) -> "Workspace":
    """A saved view of the project: the sections over the runs of the groups, the best run first."""
    import wandb_workspaces.workspaces as ws

    columns = ["uf1", "uf1_low", "uf1_high", "uar", "optimism/gap_uf1"]
    return ws.Workspace(
        entity=entity,
        project=sweep.project,
        name=_name(sweep),
        sections=[
            ws.Section(
                name=section.title,
                panels=list[Any](shown.panel for shown in section.shown),
                is_open=True,
                layout_settings=ws.SectionLayoutSettings(columns=2, rows=2),
            )
            for section in sections
        ],
        settings=ws.WorkspaceSettings(max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=_filter(sweep, summary),
            order=[ws.Ordering(ws.Summary("uf1"), ascending=False)],
            pinned_columns=[f"summary:{name}" for name in columns if name in sweep.keys.scores],
        ),
    )


def make_report(
    sweep: Sweep, summary: Summary, sections: "Sequence[Section]", entity: str
) -> "Report":
    """A page: the tables of `merec report` as they are now, and below each the living panels."""
    import wandb_workspaces.reports.v2 as wr

    tables = {
        "UF1 by choice": lay_out_scores_briefly(summary),
        "Confusion matrices": lay_out_classes(summary),
    }
    if not summary.optimism.empty:
        tables["Optimism"] = lay_out_optimism(summary)
    blocks: list[Any] = [wr.P(describe_results(summary.results)), wr.TableOfContents()]
    for section in sections:
        blocks += [wr.H1(section.title), wr.P(section.note)]
        if section.title in tables:
            blocks.append(wr.MarkdownBlock(write_markdown(tables[section.title])))
        runset = wr.Runset(
            project=sweep.project,
            name=format_list(sweep.groups),
            filters=_filter(sweep, summary),
            order=[wr.OrderBy(wr.SummaryMetric("uf1"))],
        )
        runset._id = "".join(c for c in section.title.lower() if c.isalnum())[:11]
        panels = list[Any](shown.panel for shown in section.shown)
        blocks.append(wr.PanelGrid(runsets=[runset], panels=panels, hide_run_sets=True))
    return wr.Report(
        project=sweep.project,
        entity=entity,
        title=_name(sweep),
        description=describe_results(summary.results),
        blocks=blocks,
        width="fluid",
    )


def _name(sweep: Sweep) -> str:
    """The groups, in the letters that W&B takes for a name."""
    name = f"merec {format_list(sweep.groups) or sweep.project}"
    return "".join(c if c.isalnum() or c in " ,._-" else "-" for c in name)[:100]


def _filter(sweep: Sweep, summary: Summary) -> str:
    """Runs of the groups that follow the protocol: those of another would not compare."""

    def spell(values: Sequence[str]) -> str:
        # W&B replaces signs of comparison even within quotes.
        return repr(list(values)).translate({ord(sign): rf"\x{ord(sign):02x}" for sign in "=<>"})

    protocol = summary.results[0].protocol
    terms = {
        "Metric('Group')": sweep.groups,
        "SummaryMetric('protocol_hash')": [protocol.hash],
        "SummaryMetric('split')": [protocol.split],
    }
    return " and ".join(f"{name} in {spell(values)}" for name, values in terms.items() if values)


def lay_out_sections(sweep: Sweep, summary: Summary, sections: "Sequence[Section]") -> Table:
    """What the dashboard holds, a row per panel."""
    rows = [
        {
            "Section": section.title if first else "",
            "Panel": shown.title,
            "Reads": format_list(shown.names),
        }
        for section in sections
        for shown, first in zip(section.shown, [True] + [False] * len(section.shown), strict=False)
    ]
    groups = format_list(sweep.groups) or "none"
    caption = (
        f"{len(sweep.runs)} runs; W&B project {sweep.project}, group {groups}. "
        f"{describe_results(summary.results)}"
    )
    return Table("Dashboard", caption, pd.DataFrame(rows))


def _say_what_is_local(sweep: Sweep, paths: Sequence[Path], online: bool) -> list[str]:
    """How to bring to W&B what is not there yet."""
    lines = []
    if sweep.local:
        count = f"{len(sweep.local)} of {len(sweep.runs)} runs are on this machine only; "
        lines.append(
            f"{count}to upload them: {shlex.join(['wandb', 'sync', *map(str, sweep.local)])}"
        )
    if not online:
        command = shlex.join(["merec", "dashboard", *map(str, paths), "online=true"])
        lines.append(f"the dashboard has not left this machine; to save it in W&B, too: {command}")
    return lines


def _write(out: Path, workspace: "Workspace", report: "Report") -> None:
    """Both as W&B stores them, from which `wandb_workspaces` reads them back.

    Raises:
        InputError: If nothing can be written there.
    """
    for name, content in (("workspace", workspace), ("report", report)):
        model = content._to_model()
        spec = model.model_dump(mode="json", by_alias=True, exclude_none=True)
        try:
            write_json(out / f"{name}.json", spec)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"{out} cannot be written to ({reason}); set out= to another place"
            ) from error


def _recall(out: Path, workspace: "Workspace", report: "Report") -> None:
    """Go on with what was saved in W&B before from there, so that it is brought up to date, not doubled."""
    try:
        saved = json.loads((out / "workspace.json").read_text(encoding="utf-8"))
        page = json.loads((out / "report.json").read_text(encoding="utf-8"))
        entity, project = saved["entity"], saved["project"]
        known = saved["id"], saved["name"], page["id"]
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or of no use
        return
    if project != workspace.project or workspace.entity not in ("", entity) or not all(known):
        return
    workspace.entity = report.entity = entity
    workspace._internal_id, workspace._internal_name, report.id = known


def _find_account(sweep: Sweep, online: bool | None) -> str | None:
    """Whose W&B account the dashboard is saved in; `None` if it stays here.

    Raises:
        InputError: If it was asked for and there is no account.
    """
    if online is False or (online is None and not sweep.online):
        return None
    import wandb

    reason = "there is no account on this machine"
    try:
        account = wandb.login(prompt=False) and (sweep.entity or wandb.Api().default_entity)
    except Exception as error:  # wandb has many ways to say that the key or the network is wrong
        account, reason = None, (str(error) or type(error).__name__).splitlines()[0]
    if account:
        return str(account)
    message = f"the dashboard cannot be saved in W&B ({reason}); run `wandb login`"
    if online:
        raise InputError(f"{message}, or leave out online=true: it is then written here, as JSON")
    log.warning("%s; it is written here, as JSON", message)
    return None


def _save(workspace: "Workspace", report: "Report", out: Path) -> None:
    """Save both in the account.

    Raises:
        InputError: If W&B refuses; the JSON is written by then.
    """
    try:
        workspace.save()
        report.save()
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"W&B did not take the dashboard ({reason}), whose JSON is in {out}; upload the runs first, by "
            "`wandb sync`"
        ) from error
