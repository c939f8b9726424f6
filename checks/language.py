"""Check the words of docstrings and the names of variables.

`python checks/language.py FOLDER…` prints one line per fault, as FILE:LINE: FAULT, and exits with 1 if there
is any. The rules are those of CONTRIBUTING.md: a docstring begins with a verb or a noun, and a variable says
what it holds.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

OPENINGS = re.compile(r"(What|Of|As|How|Whether|Where|Whom|Whose|Who|When|Why|If) |[a-z]+ ")
VAGUE = {"found", "known", "said", "told", "shown", "each", "own", "others"}


def check(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and description of each fault of a file."""
    fields: set[ast.AST] = set()  # of classes: a column `found` of a file is a field `found`
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from check_docstring(node)
        if isinstance(node, ast.ClassDef):
            fields |= {field.target for field in node.body if isinstance(field, ast.AnnAssign)}
        for name, line in list_new_names(node):
            if name in VAGUE and node not in fields:
                yield line, f"the variable {name} does not say what it holds"


def check_docstring(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[tuple[int, str]]:
    """Yield the fault of the first word of a docstring, if there is one."""
    text = ast.get_docstring(node)
    if text and OPENINGS.match(text):
        first = text.split()[0]
        yield node.body[0].lineno, f"the docstring begins with {first!r}, not with a verb or a noun"


def list_new_names(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the variables and arguments that a node introduces, with their lines."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id, node.lineno
    elif isinstance(node, ast.arg):
        yield node.arg, node.lineno


def main(folders: list[str]) -> int:
    """Check all Python files of the folders and return the exit code."""
    faults = 0
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.py")):
            for line, fault in sorted(check(path)):
                sys.stdout.write(f"{path}:{line}: {fault}\n")
                faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
