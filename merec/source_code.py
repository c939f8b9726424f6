"""Hash the code that decides a result: functions and classes with everything of ours that they use.

Nothing is imported to do so; files are parsed. Comments, docstrings and layout do not count.
"""

import ast
import hashlib
import importlib.machinery
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from typing import NamedTuple

from merec.errors import InputError

# What moves, stores or reports data but decides none of it.
INDIFFERENT = (
    "merec.assets",
    "merec.config",
    "merec.config_check",
    "merec.config_groups",
    "merec.config_parts",
    "merec.config_schema",
    "merec.unused_overrides",
    "merec.errors",
    "merec.features.store",
    "merec.files",
    "merec.imports",
    "merec.target_types",
    "merec.tracebacks",
    "merec.plugins",
    "merec.ranges",
    "merec.reporting",
    "merec.run_folder",
    "merec.forkserver",
    "merec.source_code",
    "merec.stored_config",
    "merec.tasks.progress",
    "merec.temporary_folder",
    "merec.testing",
    "merec.tracking",
)
# Of what is trained on, the arrays themselves are hashed; how they are made is hashed stage by stage.
COUNTED_BY_CONTENT = ("merec.corpora", "merec.features.prepare", "merec.synthetic")


class Sources(NamedTuple):
    """The code behind some functions and classes.

    Attributes:
        files: A hash of the used part of each source file, by its path from where it is imported.
        libraries: Versions of the installed packages that this code imports.
    """

    files: dict[str, str]
    libraries: dict[str, str]

    @property
    def hash(self) -> str:
        """One hash of all files; 16 hex digits."""
        return combine(self.files)


def combine(files: Mapping[str, str]) -> str:
    """Return one hash of the hashes of files; 16 hex digits."""
    text = "\n".join(f"{name} {files[name]}" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def name_changed(before: Mapping[str, str], now: Mapping[str, str], most: int = 3) -> str:
    """Name the files in which two versions of the code differ, the first few; "" if there are none."""
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def is_own(text: str) -> bool:
    """Tell whether a text names, dotted, something in a module of neither merec nor a library."""
    top, dot, _ = text.partition(".")
    if not dot or not all(part.isidentifier() for part in text.split(".")) or top == "merec":
        return False
    return _find_spec(top) is not None and _is_outside(top) is None


def hash_sources(roots: Iterable[str], without: tuple[str, ...] = ()) -> Sources:
    """Hash the source of some functions, classes or modules and of what they use of merec or a plug-in.

    In merec a name that a function uses is followed to where it is defined, through imports, so a change
    elsewhere in the same file does not count. Somebody else's modules are free to do what cannot be followed
    by name (patches, star imports, registries), so theirs count whole: those that are imported, and those of
    the same folders that are loaded. Files beside a module, or in a folder there, that it names (a kernel,
    a table) count with it. Of installed libraries only the versions are returned.

    Args:
        roots: Dotted names as in `_target_`, e.g. `merec.backbones.STSTNet`.
        without: Modules or packages, beside `INDIFFERENT`, that are not followed.

    Raises:
        InputError: If the source of a root cannot be found.
    """
    _remember_loaded()
    return _hash_sources(tuple(sorted(set(roots))), (*INDIFFERENT, *without))


@cache
def _hash_sources(roots: tuple[str, ...], without: tuple[str, ...]) -> Sources:
    own = {root.partition(".")[0] for root in roots if _is_own_root(root.partition(".")[0])}
    walk = _Walk(own | {"merec"}, without)
    theirs = {root.partition(".")[0] for root in roots} & walk.own - {"merec"}
    for root in (*roots, *_list_loaded(theirs)):
        if not walk.follow(root) and root.partition(".")[0] not in walk.external:
            raise InputError(
                f"the source of {root} cannot be found, so its results could not be told from those of "
                "other code; put it into a .py file that Python can import"
            )
    return Sources(walk.hash_files(), _read_versions(walk.external))


class _Module:
    """One source file, parsed."""

    def __init__(self, name: str, path: Path):
        self.name, self.path = name, path
        self.tree = ast.parse(_read(path))
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.defined: dict[str, list[ast.stmt]] = {}
        self.loose: list[ast.stmt] = []  # what runs on import and defines nothing
        self.run: list[str] = []  # modules that are imported as a whole
        for statement in self.tree.body:
            names = list(_list_defined(statement))
            for each in names:
                self.defined.setdefault(each, []).append(statement)
            is_import = isinstance(statement, (ast.Import, ast.ImportFrom))
            if isinstance(statement, ast.Import):
                self.run += [alias.name for alias in statement.names]
            if not names and not is_import and not _is_docstring(statement):
                self.loose.append(statement)

    @property
    def named(self) -> list[str]:
        """All that this module imports, and the packages that it lies in."""
        parts = self.name.split(".")
        packages = [".".join(parts[:end]) for end in range(1, len(parts))]
        return [*packages, *(name.removesuffix(".*") for _, name in self._list_imports())]

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for, dotted; those imported inside functions too."""
        return dict(self._list_imports())

    def _list_imports(self) -> Iterator[tuple[str, str]]:
        """List each imported name and what it stands for, two under one name both."""
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


class _Walk:
    """Follows names from definition to definition."""

    def __init__(self, own: set[str], without: tuple[str, ...]):
        self.own, self.without = own, without
        self.external: set[str] = set()
        self.used: dict[_Module, dict[ast.stmt, None]] = {}
        self._followed: set[str] = set()
        self._waiting: list[str] = []

    def follow(self, dotted: str) -> bool:
        """Add what a dotted name stands for, and what that uses; whether it is ours."""
        self._waiting.append(dotted)
        known = self._locate(dotted) is not None
        while self._waiting:
            name = self._waiting.pop()
            if name not in self._followed:
                self._followed.add(name)
                self._add(name)
        return known

    def _locate(self, dotted: str) -> tuple[_Module, list[str]] | None:
        """The module that a dotted name leads into, and the rest of it; `None` if it is not ours."""
        parts = dotted.split(".")
        top = parts[0]
        if top not in self.own:
            if _is_outside(top) is None:
                self.own.add(top)
            else:
                if _is_outside(top):
                    self.external.add(top)
                return None
        for end in range(len(parts), 0, -1):
            name = ".".join(parts[:end])
            path = _find_module(name)
            if path is not None:
                return _parse(name, path), parts[end:]
        return None

    def _add(self, dotted: str) -> None:
        """Count what a dotted name stands for, and note what that uses."""
        found = self._locate(dotted)
        if found is None:
            return
        module, rest = found
        if any(module.name == each or module.name.startswith(f"{each}.") for each in self.without):
            return
        theirs = module.name.partition(".")[0] != "merec"
        if theirs:
            statements = module.tree.body
            self._waiting += module.named
        elif rest and rest[0] in module.defined:
            statements = module.defined[rest[0]]
        elif rest and rest[0] in module.imported:
            self._waiting.append(".".join([module.imported[rest[0]], *rest[1:]]))
            return
        else:  # all of it: the module itself is used, or a name that it makes in its own way
            statements = module.tree.body
        if module not in self.used:
            self.used[module] = {}
            tops = {each.partition(".")[0] for each in module.imported.values()}
            self.external |= {top for top in tops if top not in self.own and _is_outside(top)}
            self._waiting += module.run  # `import x` may change what is used here
        used = self.used[module]
        for statement in (*statements, *module.loose):
            if statement not in used:
                used[statement] = None
                self._waiting += _list_used(statement, module)

    def hash_files(self) -> dict[str, str]:
        """A hash per file, 16 hex digits."""
        hashes = {}
        for module, statements in self.used.items():
            digest = hashlib.sha256()
            for text in sorted(_spell(statement) for statement in statements):
                digest.update(text.encode() + b"\n")
            for file in sorted({file for each in statements for file in _list_files(each, module)}):
                digest.update(file.name.encode() + _read(file))
            parts = module.name.split(".")
            name = (
                parts[-1] + ".py" if module.path.stem == parts[-1] else f"{parts[-1]}/__init__.py"
            )
            hashes["/".join([*parts[:-1], name])] = digest.hexdigest()[:16]
        return hashes


def _list_defined(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module defines."""
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
                for each in inner.body:
                    yield from _list_defined(each)


def _list_used(node: ast.AST, module: _Module) -> Iterator[str]:
    """What a piece of code refers to outside itself, as dotted names."""
    attributes: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        attributes.insert(0, inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name):
        for child in ast.iter_child_nodes(node):
            yield from _list_used(child, module)
    elif (
        inner.id in module.imported
    ):  # of a module's attribute that one alone, not all of the module
        yield ".".join([module.imported[inner.id], *attributes])
    elif inner.id in module.defined:
        yield f"{module.name}.{inner.id}"


def _list_files(statement: ast.stmt, module: _Module) -> Iterator[Path]:
    """Files beside a module that a statement names, whole or by their ending."""
    for node in ast.walk(statement):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        text = node.value
        if not 2 < len(text) < 100 or not set(text).isdisjoint("\0\n*?[]") or text[0] in "/~":
            continue
        try:
            if text[0] == "." and "/" not in text:
                found = [module.path.with_suffix(text)]
            else:
                found = [module.path.parent / text, *module.path.parent.glob(f"*/{text}")]
        except (ValueError, OSError, NotImplementedError):  # no name that a file can have
            continue
        yield from (file for file in found if file.suffix != ".py" and file.is_file())


@cache  # also since it changes the tree
def _spell(statement: ast.stmt) -> str:
    """The source of a statement without comments, docstrings and layout."""
    return ast.unparse(_WithoutDocstrings().visit(statement))


class _WithoutDocstrings(ast.NodeTransformer):
    """Takes docstrings out of a tree; a body is never left empty."""

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


def _list_loaded(tops: set[str]) -> list[str]:
    """Loaded modules that lie in the folders of some top-level modules, as those imported by a text do."""
    folders = {file.parent for top in tops for file in [_find_module(top)] if file}
    loaded = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and _is_outside(name.partition(".")[0]) is None:
            parents = Path(file).parents
            if not name.startswith("merec") and any(folder in parents for folder in folders):
                loaded.append(name)
    return loaded


@cache
def _parse(name: str, path: Path) -> _Module:
    return _Module(name, path)


@cache
def _read(path: Path) -> bytes:
    """A file as it was when this process first asked; what it has imported does not change any more."""
    return path.read_bytes()


_seen: set[str] = set()  # names of modules that were read or need not be


def _remember_loaded() -> None:
    """Read what was imported since the last call, so that a later edit is not taken for what runs."""
    # Asked for every stage of every sample, so only what is new is looked at.
    new = set(sys.modules) - _seen
    _seen.update(new)
    for name in new:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and file.endswith(".py") and _is_outside(name.partition(".")[0]) is None:
            path = Path(file)
            if path.is_file():
                _read(path)


@cache
def _find_module(name: str) -> Path | None:
    """The file of a module, found without importing it; `None` if there is none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file and file.endswith(".py"):
        return Path(file)
    parent, _, last = name.rpartition(".")
    if parent:
        return next(
            (file for folder in _list_folders(parent) if (file := _look_in(folder, last))), None
        )
    spec = _find_spec(name)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _list_folders(package: str) -> list[Path]:
    """Where the modules of a package lie."""
    if "." not in package:
        spec = _find_spec(package)
        return [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    parent, _, last = package.rpartition(".")
    return [folder / last for folder in _list_folders(parent) if (folder / last).is_dir()]


def _look_in(folder: Path, name: str) -> Path | None:
    for file in (folder / name / "__init__.py", folder / f"{name}.py"):
        if file.is_file():
            return file
    return None


@cache
def _find_spec(top: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):  # e.g. __main__
        return None


@cache
def _is_outside(top: str) -> bool | None:
    """Whether a top-level package is an installed library; `False` of Python's own, `None` if it is ours."""
    if top == "merec":
        return None
    if top in sys.stdlib_module_names or top in sys.builtin_module_names or top == "__main__":
        return False
    spec = _find_spec(top)
    if spec is None:  # loaded in a way of its own, or nowhere
        loaded = [name for name in sys.modules if name == top or name.startswith(f"{top}.")]
        return None if any(_find_module(name) for name in loaded) else False
    if spec.origin == "built-in":
        return False
    places = [spec.origin, *(spec.submodule_search_locations or ())]
    paths = sysconfig.get_paths()
    libraries = tuple(str(Path(paths[key])) for key in ("purelib", "platlib", "stdlib"))
    parts = {"site-packages", "dist-packages"}
    inside = any(
        place and (place.startswith(libraries) or parts & {*Path(place).parts}) for place in places
    )
    return True if inside else None


@cache
def _is_own_root(top: str) -> bool:
    """Whether a package that a config names counts as a plug-in, wherever it is installed.

    What merec itself requires does not: its version tells enough.
    """
    if not _is_outside(top):
        return _is_outside(top) is None
    required = {_canonical(text) for text in _list_required()}
    names = _list_distributions().get(top, [])
    return not any(_canonical(name) in required for name in names)


def _list_required() -> list[str]:
    try:
        return requires("merec") or []
    except PackageNotFoundError:
        return []


def _canonical(requirement: str) -> str:
    """The name in a requirement, spelt in the one way."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else " " for letter in requirement)
    return name.split()[0].replace("_", "-").replace(".", "-").lower()


@cache
def _list_distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _read_versions(tops: Iterable[str]) -> dict[str, str]:
    """Versions of the installed packages that some top-level modules come from."""
    names = {name for top in tops for name in _list_distributions().get(top, [])}
    return {name: version(name) for name in sorted(names)}
