"""Entry point of `merec VERB …`."""

import os
import sys
from importlib import import_module
from pathlib import Path

from merec.cli import VERBS
from merec.cli.help import describe_verb, describe_verbs
from merec.cli.output import remove_empty_output
from merec.errors import InputError

_RESUMES = {
    "train": "; the same command goes on from the last finished fold",
    "synthesize": "; the same command goes on from the last finished clip",
    "prepare": "; the same command goes on, finished samples are kept",
}


def _open_closed_streams() -> None:
    """Open standard streams that the shell closed (`2>&-`), so that no other file gets their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            free = os.open(os.devnull, os.O_RDWR)  # the lowest number, which is that of the stream
            setattr(sys, name, os.fdopen(free, "w" if number else "r"))


def main() -> int:
    """Run a verb and return its exit code; errors of the user are printed as one line, with code 2."""
    _open_closed_streams()
    verb, *arguments = sys.argv[1:] or ["--help"]
    if verb in ("-h", "--help", "help"):
        sys.stdout.write(describe_verbs())
        return 0
    show_traceback = "HYDRA_FULL_ERROR" in os.environ
    os.umask(0o077)  # faces and what is known of people are for nobody else to read
    # Otherwise Hydra would print errors its own way and exit before they reach us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        return _run_verb(verb, arguments)
    except (InputError, OSError) as error:
        if show_traceback:
            raise
        message = str(error) if isinstance(error, InputError) else _describe_os_error(error)
        sys.stderr.write(f"merec: error: {message}\n")
        return 2
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"merec: interrupted{_RESUMES.get(verb, '')}\n")
        return stop.args[0] if stop.args else 130
    finally:
        remove_empty_output()


def _run_verb(verb: str, arguments: list[str]) -> int:
    if verb == "--version":
        from merec import __version__

        sys.stdout.write(f"merec {__version__}\n")
        return 0
    if verb not in VERBS:
        raise InputError(f"there is no verb {verb}; there are {', '.join(VERBS)}")
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise InputError(
            "the current folder was deleted; change to another one (cd) and give the command again"
        ) from error
    if verb != "completion":  # which reads what is typed so far
        from merec.plugins import name_folders

        arguments = name_folders(arguments)
    # Completion asks what follows any words.
    if {"-h", "--help"} & {*arguments} and arguments[:1] != ["words"]:
        sys.stdout.write(describe_verb(verb))
        return 0
    if verb != "train":  # Hydra sets up its own
        import logging

        logging.basicConfig(format="%(message)s")
        logging.getLogger("merec").setLevel(logging.INFO)
    # Each verb is a function in a file of its name, and imports what it needs when it is called.
    return getattr(import_module(f"merec.cli.{verb}"), verb)(arguments) or 0


def _describe_os_error(error: OSError) -> str:
    from merec.files import describe_disk_error, find_disk_error

    cause = find_disk_error(error)
    if cause:
        return describe_disk_error(cause)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; HYDRA_FULL_ERROR=1 shows where"


if __name__ == "__main__":
    sys.exit(main())
