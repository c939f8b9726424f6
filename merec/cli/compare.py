"""`merec compare`: test runs against each other."""

from pathlib import Path

from merec.cli.arguments import split_paths
from merec.cli.output import make_folder
from merec.errors import InputError


def compare(arguments: list[str]) -> None:
    """Test sides against each other: `merec compare RUN_A RUN_B… [reference=A] [out=FOLDER]`."""
    paths, options = split_paths(arguments, {"reference": "", "out": ""}, "compare")
    if len(paths) < 2:
        raise InputError(
            f"merec compare needs two runs or more, not {len(paths)}: merec compare RUN_A RUN_B"
        )
    out = Path(options["out"]) if options["out"] else None
    if out:
        make_folder(out)
    from merec.reporting.compare import compare_runs

    compare_runs(paths, reference=options["reference"] or None, out=out)
