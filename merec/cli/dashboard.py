"""`merec dashboard`: a W&B workspace and report over runs."""

from pathlib import Path

from merec.cli.arguments import read_flag, split_paths
from merec.cli.output import make_folder
from merec.errors import InputError


def dashboard(arguments: list[str]) -> None:
    """Show runs in W&B: `merec dashboard RUN… [out=FOLDER] [online=true]`."""
    paths, options = split_paths(arguments, {"out": "runs/dashboard", "online": ""}, "dashboard")
    if not paths:
        raise InputError("merec dashboard needs run folders, e.g. merec dashboard runs/synthetic")
    given = options["online"]
    online = read_flag("dashboard", "online", given) if given else None
    make_folder(Path(options["out"]))
    from merec.tracking.dashboard import write_dashboard

    write_dashboard(paths, Path(options["out"]), online)
