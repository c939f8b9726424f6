"""`merec report`: pool finished runs into tables, figures and a page."""

from pathlib import Path

from merec.cli.arguments import read_flag, split_paths
from merec.cli.output import make_folder
from merec.errors import InputError


def report(arguments: list[str]) -> None:
    """Pool runs: `merec report RUN… [out=FOLDER] [published=false] [sheets=FOLDER]`."""
    paths, options = split_paths(
        arguments, {"out": "runs/report", "published": "true", "sheets": ""}, "report"
    )
    if not paths:
        raise InputError("merec report needs run folders, e.g. merec report runs/megc2019_flow")
    published = read_flag("report", "published", options["published"])
    sheets = Path(options["sheets"] or "runs/inspect")
    if options["sheets"] and not sheets.is_dir():
        raise InputError(
            f"sheets={sheets} is no folder; give the folder that merec inspect wrote to, or leave sheets out"
        )
    make_folder(Path(options["out"]))
    from merec.reporting.report import write_report

    write_report(paths, Path(options["out"]), published, sheets=sheets)
