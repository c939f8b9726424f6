"""Source files of modules, and their origin: merec, a library or a plug-in."""

import importlib.machinery
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path


@cache
def read_once(path: Path) -> bytes:
    """Return the content of a file at the first call in this process, since imported code does not change."""
    return path.read_bytes()


_seen: set[str] = set()  # names of modules that were read or need not be


def remember_loaded() -> None:
    """Read the files of newly imported modules, so that later edits are not mistaken for the running code."""
    # Asked for every stage of every sample, so only what is new is looked at.
    new = set(sys.modules) - _seen
    _seen.update(new)
    for name in new:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and file.endswith(".py") and is_outside(name.partition(".")[0]) is None:
            path = Path(file)
            if path.is_file():
                read_once(path)


def list_loaded(tops: set[str]) -> list[str]:
    """Return the loaded modules in the folders of top-level modules."""
    folders = {file.parent for top in tops for file in [find_module(top)] if file}
    loaded = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and is_outside(name.partition(".")[0]) is None:
            parents = Path(file).parents
            if not name.startswith("merec") and any(folder in parents for folder in folders):
                loaded.append(name)
    return loaded


@cache
def find_module(name: str) -> Path | None:
    """Find the file of a module without importing it; `None` if there is none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file and file.endswith(".py"):
        return Path(file)
    parent, _, last = name.rpartition(".")
    if parent:
        return next(
            (file for folder in _list_folders(parent) if (file := _look_in(folder, last))), None
        )
    spec = find_spec(name)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _list_folders(package: str) -> list[Path]:
    """Return the folders of the modules of a package."""
    if "." not in package:
        spec = find_spec(package)
        return [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    parent, _, last = package.rpartition(".")
    return [folder / last for folder in _list_folders(parent) if (folder / last).is_dir()]


def _look_in(folder: Path, name: str) -> Path | None:
    for file in (folder / name / "__init__.py", folder / f"{name}.py"):
        if file.is_file():
            return file
    return None


@cache
def find_spec(top: str) -> importlib.machinery.ModuleSpec | None:
    """Return the import spec of a top-level package; `None` if it cannot be imported."""
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):  # e.g. __main__
        return None


@cache
def is_outside(top: str) -> bool | None:
    """Return True for an installed library, False for the standard library, `None` for our packages."""
    if top == "merec":
        return None
    if top in sys.stdlib_module_names or top in sys.builtin_module_names or top == "__main__":
        return False
    spec = find_spec(top)
    if spec is None:  # loaded in a way of its own, or nowhere
        loaded = [name for name in sys.modules if name == top or name.startswith(f"{top}.")]
        return None if any(find_module(name) for name in loaded) else False
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
def is_own_root(top: str) -> bool:
    """Return whether a package that a config names is a plug-in, wherever it is installed.

    Requirements of merec are not plug-ins; their version identifies them.
    """
    if not is_outside(top):
        return is_outside(top) is None
    required = {_canonical(text) for text in _list_required()}
    names = _list_distributions().get(top, [])
    return not any(_canonical(name) in required for name in names)


def _list_required() -> list[str]:
    try:
        return requires("merec") or []
    except PackageNotFoundError:
        return []


def _canonical(requirement: str) -> str:
    """Return the normalised name of a requirement."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else " " for letter in requirement)
    return name.split()[0].replace("_", "-").replace(".", "-").lower()


@cache
def _list_distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def read_versions(tops: Iterable[str]) -> dict[str, str]:
    """Return the versions of the installed packages of top-level modules."""
    names = {name for top in tops for name in _list_distributions().get(top, [])}
    return {name: version(name) for name in sorted(names)}
