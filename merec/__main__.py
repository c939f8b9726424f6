"""The verbs: `merec VERB …`."""

import os
import sys
from pathlib import Path

from merec.errors import InputError

HELP = """\
merec: micro-expression recognition experiments whose numbers can be believed.

usage: merec VERB …

  train     train any task on any choices; a Hydra application (`merec train --help`)
              merec train task=loso backbone=ststnet corpus=megc2019_flow
              merec train task=baseline task.estimator=rbf_svm_nested
              merec train -m task=loso backbone=ststnet seed=0,1,2
  report    pool run folders into tables, figures and one HTML page
              merec report runs/megc2019_flow [out=runs/report] [published=false]
  compare   test two runs against each other, subject by subject
              merec compare RUN_A RUN_B

Runs lie in runs/CORPUS/TASK/…; the same command resumes a run that was interrupted.
Data is found below MEREC_DATA, or where corpus.root=FOLDER says.
HYDRA_FULL_ERROR=1 shows the traceback of an error.
"""


def train(arguments: list[str]) -> None:
    """Hand over to Hydra: `merec train OVERRIDE…`."""
    from merec.train import train

    train(arguments)


def report(arguments: list[str]) -> None:
    """Pool runs: `merec report RUN… [out=FOLDER] [published=false]`."""
    paths, options = _split(arguments, {"out": "runs/report", "published": "true"}, "report")
    if not paths:
        raise InputError("merec report needs run folders, e.g. merec report runs/megc2019_flow")
    from merec.reporting.report import write_report

    write_report(paths, Path(options["out"]), options["published"].lower() != "false")


def compare(arguments: list[str]) -> None:
    """Test B against A: `merec compare RUN_A RUN_B`."""
    paths, _ = _split(arguments, {}, "compare")
    if len(paths) != 2:
        raise InputError(
            f"merec compare needs two runs, not {len(paths)}: merec compare RUN_A RUN_B"
        )
    from merec.reporting.compare import compare_runs

    compare_runs(paths[0], paths[1])


def _split(
    arguments: list[str], defaults: dict[str, str], verb: str
) -> tuple[list[Path], dict[str, str]]:
    """Folders, and options written `key=value`."""
    options = dict(defaults)
    paths = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in defaults:
            options[key] = value
        elif argument.startswith("-") or (equals and not Path(argument).exists()):
            takes = ", ".join(f"{name}=" for name in defaults) or "folders only"
            raise InputError(f"merec {verb} does not know {argument}; it takes {takes}")
        else:
            paths.append(Path(argument))
    return paths, options


VERBS = {"train": train, "report": report, "compare": compare}


def main() -> int:
    """Run a verb; errors that the user can mend are one line and exit code 2."""
    verb, *arguments = sys.argv[1:] or ["--help"]
    asks_for_help = verb in ("-h", "--help", "help")
    if asks_for_help or (verb in VERBS and verb != "train" and {"-h", "--help"} & {*arguments}):
        sys.stdout.write(HELP)
        return 0
    show_traceback = "HYDRA_FULL_ERROR" in os.environ
    # Otherwise Hydra would print errors its own way and exit before they reach us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        if verb == "--version":
            from merec import __version__

            sys.stdout.write(f"merec {__version__}\n")
            return 0
        if verb not in VERBS:
            raise InputError(f"there is no verb {verb}; there are {', '.join(VERBS)}")
        VERBS[verb](arguments)
    except InputError as error:
        if show_traceback:
            raise
        sys.stderr.write(f"merec: error: {error}\n")
        return 2
    except KeyboardInterrupt as stop:
        sys.stderr.write(
            "merec: interrupted; the same command goes on from the last finished fold\n"
        )
        return stop.args[0] if stop.args else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
