"""Write `verbs.md` and `config.md` of this folder from the code and from conf/: `make reference`."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object

from merec.cli import VERBS

FOLDER = Path(__file__).parent
CONF = Path("conf")
MAPPINGS = {"class_maps", "expected", "spellings"}  # of corpora: their keys are data
COMMENT_COLUMN = 20  # comments beside a key start further right
NOT_GROUPS = {"hydra", "local"}
NOT_OPTIONS = {"_target_", "_partial_", "_convert_", "defaults", "hydra"}
LINE = re.compile(r"( *)([\w./@-]+):(?: +|$)((?:[^#]|(?<! )#)*?)(?: *# (.*))?$")


@dataclass
class Key:
    """A key of a YAML file.

    Attributes:
        path: Full name.
        default: Value in the file, as written there.
        meaning: Comment beside it; without one, the text in the docstring of what the node builds.
    """

    path: str
    default: str
    meaning: str


def main() -> None:
    """Write both pages."""
    (FOLDER / "verbs.md").write_text(describe_verbs())
    (FOLDER / "config.md").write_text(describe_config())


def describe_verbs() -> str:
    """Return the page of the verbs: the help text of each."""
    parts = [
        "# Verbs\n\nThe texts of `merec VERB --help`. Written by `make reference`.\n",
        *(f"## {verb}\n\n```text\n{read_help(verb)}\n```\n" for verb in VERBS),
    ]
    return "\n".join(parts)


def read_help(verb: str) -> str:
    """Return what `merec VERB --help` prints."""
    command = [sys.executable, "-m", "merec", verb, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def describe_config() -> str:
    """Return the page of the config keys: a table for the root and for each choice of each group."""
    groups = [file for file in sorted(CONF.glob("*/*.yaml")) if file.parent.name not in NOT_GROUPS]
    files = [CONF / "config.yaml", *groups]
    pages = {file: read_yaml(file.read_text(), file.parent.name) for file in files}
    shared_last = sorted(pages, key=lambda file: file.stem.startswith("_"))  # the last file counts
    documented = [key for file in shared_last for key in pages[file][1]]
    meanings = {key.path: key.meaning for key in documented if key.meaning}
    text = [
        "# Config keys\n",
        "Every key of `conf/`, with its default and its meaning. Set a key on the command line by its full",
        "name, for example `task.groups=3`. Written by `make reference`.\n",
    ]
    group = ""
    for file, (head, keys) in pages.items():
        if file.parent.name != group:
            group = file.parent.name
            text.append(f"## {'Root' if file.parent == CONF else group}\n")
        if file.parent != CONF:
            choice = ": shared keys" if file.stem.startswith("_") else f"={file.stem}"
            text.append(f"### {group}{choice}\n")
        text += [f"{head}\n"] if head else []
        text += lay_out(keys, meanings)
    return "\n".join(text)


def lay_out(keys: list[Key], meanings: dict[str, str]) -> Iterator[str]:
    """Yield the table of the keys of a file; a key without a meaning takes it from another file."""
    if keys:
        yield "| key | default | meaning |\n|---|---|---|"
        for key in keys:
            meaning = key.meaning or meanings.get(key.path, "")
            yield f"| `{key.path}` | {show(key.default)} | {escape(meaning)} |"
        yield ""


def read_yaml(source: str, group: str) -> tuple[str, list[Key]]:
    """Read the comment at the head of a YAML file, and its keys with their meaning.

    A comment beside a key may continue on the next lines, in the same column. A comment that starts in the
    column of a key describes the key below it.
    """
    head: list[str] = []
    above: list[str] = []
    keys: list[Key] = []
    parents: list[tuple[int, str]] = []
    content = yaml.safe_load(source) or {}
    prefix = "" if group == CONF.name or "# @package _global_" in source else f"{group}."
    for line in source.splitlines():
        if line.lstrip().startswith("# "):
            words = line.strip().removeprefix("# ").strip()
            if not parents:
                head += [] if words.startswith("@package") else [words]
            elif line.index("#") < COMMENT_COLUMN:
                above.append(words)
            elif keys:
                keys[-1].meaning = f"{keys[-1].meaning} {words}".strip()
        elif match := LINE.match(line):
            indent, name, default, comment = match.groups()
            parents = [(depth, parent) for depth, parent in parents if depth < len(indent)]
            path = [parent for _, parent in parents] + [name]
            parents.append((len(indent), name))
            comment = " ".join([*above, *filter(None, [comment])])
            above = []
            if not NOT_OPTIONS & {*path} and (default or comment) and not MAPPINGS & {*path[:-1]}:
                meaning = comment or look_up(content, path)
                keys.append(Key(prefix + ".".join(path), default.strip(), meaning))
    return " ".join(head), keys


def look_up(content: dict[str, Any], path: list[str]) -> str:
    """Return what the docstring of the class or function that a node builds says of a key."""
    for name in path[:-1]:
        content = content[name]
    target = content.get("_target_", "") if isinstance(content, dict) else ""
    if not target.startswith("merec."):
        return ""
    text = inspect.getdoc(get_object(target)) or ""
    match = re.search(rf"^    {path[-1]}: (.*(?:\n {{8}}.*)*)", text, re.MULTILINE)
    return " ".join(match[1].split()) if match else ""


def show(default: str) -> str:
    """Return a default as a cell of a table; empty for a key that holds others."""
    return f"`{escape(default)}`" if default else ""


def escape(text: str) -> str:
    """Return a text without what Markdown would take for the end of a cell."""
    return text.replace("|", r"\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()
