"""Parsed source file: its definitions, imports and used names, without comments and docstrings."""

import ast
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

from merec.source_code.modules import read_once


class Module:
    """Parsed source file."""

    def __init__(self, name: str, path: Path):
        self.name, self.path = name, path
        self.tree = ast.parse(read_once(path))
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.defined: dict[str, list[ast.stmt]] = {}
        self.loose: list[ast.stmt] = []  # what runs on import and defines nothing
        self.run: list[str] = []  # modules that are imported as a whole
        for statement in self.tree.body:
            names = list(_list_defined(statement))
            for defined_name in names:
                self.defined.setdefault(defined_name, []).append(statement)
            is_import = isinstance(statement, (ast.Import, ast.ImportFrom))
            if isinstance(statement, ast.Import):
                self.run += [alias.name for alias in statement.names]
            if not names and not is_import and not _is_docstring(statement):
                self.loose.append(statement)

    @property
    def named(self) -> list[str]:
        """All names that the module imports, and its parent packages."""
        parts = self.name.split(".")
        packages = [".".join(parts[:end]) for end in range(1, len(parts))]
        return [*packages, *(name.removesuffix(".*") for _, name in self._list_imports())]

    @cached_property
    def imported(self) -> dict[str, str]:
        """Dotted name of each imported name, also of imports inside functions."""
        return dict(self._list_imports())

    def _list_imports(self) -> Iterator[tuple[str, str]]:
        """List each imported name with its dotted name; a name may occur twice."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    yield alias.asname or whole, whole
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parts = self.package.split(".")
                    parents = parts[: len(parts) - node.level + 1]
                    base = ".".join([*parents, *([base] if base else [])])
                for alias in node.names:
                    yield alias.asname or alias.name, f"{base}.{alias.name}"


@cache
def parse(name: str, path: Path) -> Module:
    """Parse a source file (cached)."""
    return Module(name, path)


def _list_defined(statement: ast.stmt) -> Iterator[str]:
    """List the names that a module-level statement defines."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
    elif isinstance(statement, (ast.If, ast.Try, ast.With)):  # fallbacks, TYPE_CHECKING
        for inner in ast.iter_child_nodes(statement):
            if isinstance(inner, ast.stmt):
                yield from _list_defined(inner)
            elif isinstance(inner, ast.ExceptHandler):
                for nested in inner.body:
                    yield from _list_defined(nested)


def list_used(node: ast.AST, module: Module) -> Iterator[str]:
    """List the dotted names that a piece of code refers to outside itself."""
    attributes: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        attributes.insert(0, inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name):
        for child in ast.iter_child_nodes(node):
            yield from list_used(child, module)
    elif (
        inner.id in module.imported
    ):  # of a module's attribute that one alone, not all of the module
        yield ".".join([module.imported[inner.id], *attributes])
    elif inner.id in module.defined:
        yield f"{module.name}.{inner.id}"


def list_files(statement: ast.stmt, module: Module) -> Iterator[Path]:
    """List the data files next to a module that its code names, by full name or by extension."""
    for node in ast.walk(statement):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        text = node.value
        if not 2 < len(text) < 100 or not set(text).isdisjoint("\0\n*?[]") or text[0] in "/~":
            continue
        try:
            if text[0] == "." and "/" not in text:
                paths = [module.path.with_suffix(text)]
            else:
                paths = [module.path.parent / text, *module.path.parent.glob(f"*/{text}")]
        except (ValueError, OSError, NotImplementedError):  # no name that a file can have
            continue
        yield from (file for file in paths if file.suffix != ".py" and file.is_file())


@cache  # also since it changes the tree
def spell(statement: ast.stmt) -> str:
    """Return the source of a statement without comments, docstrings and layout."""
    return ast.unparse(_WithoutDocstrings().visit(statement))


class _WithoutDocstrings(ast.NodeTransformer):
    """Transformer that removes docstrings from a syntax tree; an empty body gets a placeholder."""

    def _strip(self, node: ast.AST) -> ast.AST:
        body: list[ast.stmt] = node.body  # type: ignore[attr-defined]
        if body and _is_docstring(body[0]):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
        return self.generic_visit(node)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _strip  # noqa: N815


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
