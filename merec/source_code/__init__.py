"""Hash of the code that affects a result: functions and classes with all code of merec that they use.

Files are parsed, not imported. Comments, docstrings and layout do not affect the hash.
"""

import ast
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from merec.errors import InputError
from merec.source_code.modules import (
    find_module,
    find_spec,
    is_outside,
    is_own_root,
    list_loaded,
    read_once,
    read_versions,
    remember_loaded,
)
from merec.source_code.parsed_module import Module, list_files, list_used, parse, spell

# What moves, stores or reports data but decides none of it.
INDIFFERENT = (
    "merec.assets",
    "merec.config",
    "merec.config_check",
    "merec.config_groups",
    "merec.config_parts",
    "merec.config_schema",
    "merec.csv_export",
    "merec.unused_overrides",
    "merec.errors",
    "merec.features.store",
    "merec.files",
    "merec.imports",
    "merec.target_types",
    "merec.tracebacks",
    "merec.path_names",
    "merec.plugins",
    "merec.range_check",
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
    """Code that functions and classes use.

    Attributes:
        files: Hash of the used part of each source file, by its path relative to the import root.
        libraries: Versions of the installed packages that this code imports.
    """

    files: dict[str, str]
    libraries: dict[str, str]

    @property
    def hash(self) -> str:
        """Hash of all files, 16 hex digits."""
        return combine(self.files)


def combine(files: Mapping[str, str]) -> str:
    """Combine the hashes of files to one hash, 16 hex digits."""
    text = "\n".join(f"{name} {files[name]}" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def name_changed(before: Mapping[str, str], now: Mapping[str, str], most: int = 3) -> str:
    """Return the names of the first files that differ between two versions of the code; "" if none."""
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def is_own(text: str) -> bool:
    """Return whether a text is the dotted name of an object of a plug-in (neither merec nor a library)."""
    top, dot, _ = text.partition(".")
    if not dot or not all(part.isidentifier() for part in text.split(".")) or top == "merec":
        return False
    return find_spec(top) is not None and is_outside(top) is None


def hash_sources(roots: Iterable[str], without: tuple[str, ...] = ()) -> Sources:
    """Hash the source of functions, classes or modules and of the code of merec or plug-ins that they use.

    In merec each name that a function uses is followed through imports to its definition, so a change
    elsewhere in the same file does not change the hash. Modules of plug-ins may contain patches, star imports
    or registries, which cannot be followed by name. So they are hashed as whole files: imported modules, and
    loaded modules of the same folders. Data files next to a module that it names (a kernel, a table) are
    included. For installed libraries only versions are returned.

    Args:
        roots: Dotted names as in `_target_`, e.g. `merec.backbones.STSTNet`.
        without: Modules or packages that are not followed, in addition to `INDIFFERENT`.

    Raises:
        InputError: If the source of a root cannot be found.
    """
    remember_loaded()
    return _hash_sources(tuple(sorted(set(roots))), (*INDIFFERENT, *without))


@cache
def _hash_sources(roots: tuple[str, ...], without: tuple[str, ...]) -> Sources:
    packages = {root.partition(".")[0] for root in roots if is_own_root(root.partition(".")[0])}
    walk = _Walk(packages | {"merec"}, without)
    theirs = {root.partition(".")[0] for root in roots} & walk.own - {"merec"}
    for root in (*roots, *list_loaded(theirs)):
        if not walk.follow(root) and root.partition(".")[0] not in walk.external:
            raise InputError(
                f"the source of {root} cannot be found, so its results could not be told from those of "
                "other code; put it into a .py file that Python can import"
            )
    return Sources(walk.hash_files(), read_versions(walk.external))


class _Walk:
    """Traversal of names from definition to definition."""

    def __init__(self, packages: set[str], without: tuple[str, ...]):
        self.own, self.without = packages, without
        self.external: set[str] = set()
        self.used: dict[Module, dict[ast.stmt, None]] = {}
        self._followed: set[str] = set()
        self._waiting: list[str] = []

    def follow(self, dotted: str) -> bool:
        """Add the object with a dotted name and everything it uses; return whether it is ours."""
        self._waiting.append(dotted)
        is_merec = self._locate(dotted) is not None
        while self._waiting:
            name = self._waiting.pop()
            if name not in self._followed:
                self._followed.add(name)
                self._add(name)
        return is_merec

    def _locate(self, dotted: str) -> tuple[Module, list[str]] | None:
        """Split a dotted name into its module and the rest; `None` if the module is not ours."""
        parts = dotted.split(".")
        top = parts[0]
        if top not in self.own:
            if is_outside(top) is None:
                self.own.add(top)
            else:
                if is_outside(top):
                    self.external.add(top)
                return None
        for end in range(len(parts), 0, -1):
            name = ".".join(parts[:end])
            path = find_module(name)
            if path is not None:
                return parse(name, path), parts[end:]
        return None

    def _add(self, dotted: str) -> None:
        """Add the source of the object with a dotted name, and queue the names that it uses."""
        location = self._locate(dotted)
        if location is None:
            return
        module, rest = location
        if any(
            module.name == prefix or module.name.startswith(f"{prefix}.") for prefix in self.without
        ):
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
            tops = {prefix.partition(".")[0] for prefix in module.imported.values()}
            self.external |= {top for top in tops if top not in self.own and is_outside(top)}
            self._waiting += module.run  # `import x` may change what is used here
        used = self.used[module]
        for statement in (*statements, *module.loose):
            if statement not in used:
                used[statement] = None
                self._waiting += list_used(statement, module)

    def hash_files(self) -> dict[str, str]:
        """Return a hash per file, 16 hex digits."""
        hashes = {}
        for module, statements in self.used.items():
            digest = hashlib.sha256()
            for text in sorted(spell(statement) for statement in statements):
                digest.update(text.encode() + b"\n")
            for file in sorted({file for node in statements for file in list_files(node, module)}):
                digest.update(file.name.encode() + read_once(file))
            parts = module.name.split(".")
            name = (
                parts[-1] + ".py" if module.path.stem == parts[-1] else f"{parts[-1]}/__init__.py"
            )
            hashes["/".join([*parts[:-1], name])] = digest.hexdigest()[:16]
        return hashes
