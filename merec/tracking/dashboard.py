"""Dashboard: a W&B workspace and a W&B report over runs, as JSON and optionally online."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from merec.evaluation.pooling import pool_runs
from merec.evaluation.results import Result, assert_emotions
from merec.evaluation.runs import find_runs
from merec.files import write_json
from merec.presentation.numbers_and_captions import describe_results, format_list
from merec.presentation.table import Table
from merec.presentation.table_formats import print_table, write_markdown
from merec.tracking.dashboard_upload import find_account, recall, save
from merec.tracking.sweep import Sweep, find_sweep, find_varied
from merec.types import InputError

if TYPE_CHECKING:  # W&B takes a second to import
    from wandb_workspaces.reports.v2 import Report
    from wandb_workspaces.workspaces import Workspace

    from merec.tracking.dashboard_sections import Section


def write_dashboard(
    paths: Sequence[Path], out: Path, online: bool | None = None, console: Console | None = None
) -> None:
    """Build a workspace and a report over runs, and print their content.

    Args:
        paths: Run folders, or folders that contain run folders; all must have the same protocol and W&B
            project.
        out: Output folder for `workspace.json` and `report.json` in the format of W&B.
        online: Whether both are also saved in the W&B account; `None` saves them if the runs are online.
        console: Console; the terminal by default.

    Raises:
        InputError: If a path contains no run that was logged to W&B, projects or protocols differ, or there
            is no account for saving.
    """
    # Before wandb is imported: it says nothing, and tells its maker nothing of its own.
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    sweep = find_sweep(find_runs(paths))
    results = pool_runs(sweep.runs)
    assert_emotions(results)
    account = find_account(sweep, online)
    from merec.tracking.dashboard_sections import make_sections

    sections = make_sections(sweep.keys, find_varied(sweep.runs))
    entity = sweep.entity or account or ""
    workspace = make_workspace(sweep, results, sections, entity)
    report = make_report(sweep, results, sections, entity)
    recall(out, workspace, report)
    _write(out, workspace, report)

    console = console or Console()
    print_table(console, lay_out_sections(sweep, results, sections))
    for name in ("workspace.json", "report.json"):
        console.print(out / name, soft_wrap=True, highlight=False)
    if account:
        save(workspace, report, out)
        _write(out, workspace, report)  # now they know where they are
        for address in (workspace.url, report.url):
            console.print(address, soft_wrap=True, highlight=False)
    for line in _say_what_is_local(sweep, paths, online=account is not None):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def make_workspace(
    sweep: Sweep, results: Sequence[Result], sections: "Sequence[Section]", entity: str
) -> "Workspace":
    """Return a saved view of the project: the sections for the runs of the groups, the best run first."""
    import wandb_workspaces.workspaces as ws

    columns = ["uf1", "uf1_low", "uf1_high", "uar", "optimism/gap_uf1"]
    return ws.Workspace(
        entity=entity,
        project=sweep.project,
        name=_name(sweep),
        sections=[
            ws.Section(
                name=section.title,
                panels=list[Any](chart.panel for chart in section.charts),
                is_open=True,
                layout_settings=ws.SectionLayoutSettings(columns=2, rows=2),
            )
            for section in sections
        ],
        settings=ws.WorkspaceSettings(max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=_filter(sweep, results),
            order=[ws.Ordering(ws.Summary("uf1"), ascending=False)],
            pinned_columns=[f"summary:{name}" for name in columns if name in sweep.keys.scores],
        ),
    )


def make_report(
    sweep: Sweep, results: Sequence[Result], sections: "Sequence[Section]", entity: str
) -> "Report":
    """Return a page: the current tables of `merec report`, each followed by live panels."""
    import wandb_workspaces.reports.v2 as wr

    # With matplotlib, which writes to the user's home as it is imported.
    from merec.studies.best_epoch_on_test import lay_out_optimism, read_optimism
    from merec.studies.class_scores import lay_out_classes
    from merec.studies.scores import lay_out_scores_briefly

    tables = {
        "UF1 by choice": lay_out_scores_briefly(results),
        "Confusion matrices": lay_out_classes(results),
    }
    if not read_optimism(results).empty:
        tables["Optimism"] = lay_out_optimism(results)
    blocks: list[Any] = [wr.P(describe_results(results)), wr.TableOfContents()]
    for section in sections:
        blocks += [wr.H1(section.title), wr.P(section.note)]
        if section.title in tables:
            blocks.append(wr.MarkdownBlock(write_markdown(tables[section.title])))
        runset = wr.Runset(
            project=sweep.project,
            name=format_list(sweep.groups),
            filters=_filter(sweep, results),
            order=[wr.OrderBy(wr.SummaryMetric("uf1"))],
        )
        runset._id = "".join(c for c in section.title.lower() if c.isalnum())[:11]
        panels = list[Any](chart.panel for chart in section.charts)
        blocks.append(wr.PanelGrid(runsets=[runset], panels=panels, hide_run_sets=True))
    return wr.Report(
        project=sweep.project,
        entity=entity,
        title=_name(sweep),
        description=describe_results(results),
        blocks=blocks,
        width="fluid",
    )


def _name(sweep: Sweep) -> str:
    """Return the groups as a name with the characters that W&B allows."""
    name = f"merec {format_list(sweep.groups) or sweep.project}"
    return "".join(c if c.isalnum() or c in " ,._-" else "-" for c in name)[:100]


def _filter(sweep: Sweep, results: Sequence[Result]) -> str:
    """Return the filter of runs of the groups with the same protocol."""

    def spell(values: Sequence[str]) -> str:
        # W&B replaces signs of comparison even within quotes.
        return repr(list(values)).translate({ord(sign): rf"\x{ord(sign):02x}" for sign in "=<>"})

    protocol = results[0].protocol
    terms = {
        "Metric('Group')": sweep.groups,
        "SummaryMetric('protocol_hash')": [protocol.hash],
        "SummaryMetric('split')": [protocol.split],
    }
    return " and ".join(f"{name} in {spell(values)}" for name, values in terms.items() if values)


def lay_out_sections(
    sweep: Sweep, results: Sequence[Result], sections: "Sequence[Section]"
) -> Table:
    """List the content of the dashboard, one row per panel."""
    rows = [
        {
            "Section": section.title if first else "",
            "Panel": chart.title,
            "Reads": format_list(chart.names),
        }
        for section in sections
        for chart, first in zip(
            section.charts, [True] + [False] * len(section.charts), strict=False
        )
    ]
    groups = format_list(sweep.groups) or "none"
    caption = (
        f"{len(sweep.runs)} runs; W&B project {sweep.project}, group {groups}. "
        f"{describe_results(results)}"
    )
    return Table("Dashboard", caption, pd.DataFrame(rows))


def _say_what_is_local(sweep: Sweep, paths: Sequence[Path], online: bool) -> list[str]:
    """Explain how to upload runs that are not in W&B yet."""
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
    """Write both in the format of W&B, which `wandb_workspaces` can read.

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
