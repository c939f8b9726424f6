"""Texts of `merec --help` and `merec VERB --help`; each verb has a page in `help_pages/`."""

import re
import textwrap
from pathlib import Path

from merec.cli import VERBS

PAGES = Path(__file__).parent / "help_pages"
WIDTH = 100  # characters of a line

FOOT = """\
`merec VERB --help` lists the options of a verb, with examples.

Runs lie in runs/CORPUS/TASK/…; the same command resumes a run that was interrupted.
Data is read from below MEREC_DATA, or from corpus.root=FOLDER.
Every verb takes --config-dir FOLDER: backbones, corpora and recipes of a package there are choices.
HYDRA_FULL_ERROR=1 shows the traceback of an error.
"""


def describe_verbs() -> str:
    """Return the text of `merec --help`, with one line per verb."""
    lines = [f"  {verb:<11} {_read_page(verb).splitlines()[0]}" for verb in VERBS]
    return "\n".join(
        [
            "merec: micro-expression recognition experiments whose numbers can be believed",
            "\nusage: merec VERB …\n",
            *lines,
            f"\n{FOOT}",
        ]
    )


def describe_verb(verb: str) -> str:
    """Return the text of `merec VERB --help`."""
    page = _read_page(verb)
    if verb == "train":
        page = page.format(choices=_list_choices(), studies=_list_studies())
    return f"merec {verb}: {page}"


def _read_page(verb: str) -> str:
    return (PAGES / f"{verb}.txt").read_text(encoding="utf-8")


def _list_choices() -> str:
    """List the config groups with more than one choice."""
    from merec.config_groups import list_groups

    groups = {
        name: choices
        for name, choices in list_groups().items()
        if len(choices) > 1 and name not in ("experiments", "recipe") and "/" not in name
    }
    return "\n".join(_lay_out(name, ", ".join(choices), 12) for name, choices in groups.items())


def _list_studies() -> str:
    """List the studies with their question, the first sentence of their comment."""
    from merec.config_groups import home, list_choices

    return "\n".join(
        _lay_out(name, _read_question(home() / "experiments" / f"{name}.yaml"), 34)
        for name in list_choices("experiments")
    )


def _read_question(study: Path) -> str:
    """Return the first sentence of a study's comment; "" for a study of a plug-in."""
    if not study.is_file():
        return ""
    lines = study.read_text(encoding="utf-8").splitlines()
    comment = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    text = " ".join(line for line in comment if not line.startswith("@package"))
    return re.split(r"(?<=[?.])(?<!al\.) ", text)[0]


def _lay_out(name: str, text: str, column: int) -> str:
    """Return a name and a wrapped text in two columns."""
    indent = " " * (column + 3)
    return textwrap.fill(
        text or "–", WIDTH, initial_indent=f"  {name:<{column}} ", subsequent_indent=indent
    )
