"""Discovery of plug-ins (packages with further backbones, corpora or recipes) without importing them.

A plug-in is a top-level package that may contain `conf/`. It is installed with the entry point
`merec.plugins`, or is in a folder that `--config-dir` names.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from merec.errors import InputError

GROUP = "merec.plugins"  # of entry points, whose value is the name of a package
FLAGS = ("--config-dir", "-cd")
_NAMED = "MEREC_CONFIG_DIR"  # environment variable that tells child processes what the flags named
# Names that no plug-in may have, or it would vouch for these.
_TAKEN = {*sys.stdlib_module_names, "merec"}


class Plugin(NamedTuple):
    """Location of a plug-in.

    Attributes:
        modules: Top-level packages and modules of the plug-in.
        conf: Folder with its choices; `None` if it has none.
    """

    modules: tuple[str, ...]
    conf: Path | None


def name_folders(arguments: Sequence[str]) -> list[str]:
    """Remove `--config-dir` from the arguments of a verb, and make its folders importable.

    Child processes get the folders in an environment variable.

    Args:
        arguments: Arguments after the verb.

    Returns:
        The remaining arguments, in order.

    Raises:
        InputError: If a folder does not exist or contains no plug-in, or the flag has no value.
    """
    rest, folders = split_folders(arguments)
    for text in folders:
        _add_folder(text)
    return rest


def split_folders(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments without `--config-dir`, and the folders that it names.

    Raises:
        InputError: If a flag names none.
    """
    rest: list[str] = []
    folders: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag not in FLAGS:
            rest.append(word)
            continue
        folder = value if equals else next(words, "")
        if not folder or folder.startswith("-"):
            raise InputError(f"{flag} names no folder; give {flag} FOLDER, which holds a plug-in")
        folders.append(folder)
    return rest, folders


def list_flags() -> list[str]:
    """Return the `--config-dir` flags for the current plug-ins."""
    return [f"--config-dir={folder}" for folder in _list_named()]


def list_plugins() -> tuple[Plugin, ...]:
    """Return the plug-ins of named folders, then the installed ones; the first of a name is used."""
    return _find_plugins(tuple(_list_named()), tuple(sys.path))


def list_modules() -> list[str]:
    """Return the packages and modules of all plug-ins; their classes may be built from checkpoints."""
    return [name for plugin in list_plugins() for name in plugin.modules]


def list_conf_folders() -> list[Path]:
    """Return the `conf/` of each plug-in that has one."""
    return [plugin.conf for plugin in list_plugins() if plugin.conf is not None]


def _list_named() -> list[Path]:
    return [Path(text) for text in os.environ.get(_NAMED, "").split(os.pathsep) if text]


def _add_folder(text: str) -> None:
    folder = Path(text).expanduser().resolve()
    if not folder.is_dir():
        reason = "is no folder" if folder.exists() else "does not exist"
        raise InputError(f"--config-dir={text} {reason}; give a folder that holds a plug-in")
    if os.pathsep in str(folder):
        raise InputError(
            f"--config-dir={text} has {os.pathsep} in its path, at which PYTHONPATH is split; rename it"
        )
    _open_folder(folder)
    if folder in _list_named():
        return
    for variable in (_NAMED, "PYTHONPATH"):
        given = os.environ.get(variable)
        os.environ[variable] = f"{folder}{os.pathsep}{given}" if given else str(folder)
    sys.path.insert(0, str(folder))


def _open_folder(folder: Path) -> list[Plugin]:
    """Return the plug-ins of a folder: packages with `conf/`, or else the folder as a `conf/`.

    Raises:
        InputError: If the folder is neither.
    """
    packages = sorted(
        file.parent for file in folder.glob("*/__init__.py") if file.parent.name not in _TAKEN
    )
    if plugin_packages := [package for package in packages if (package / "conf").is_dir()]:
        return [Plugin((package.name,), package / "conf") for package in plugin_packages]
    if not any(folder.glob("*/*.yaml")) and not any(folder.glob("*/*/*.yaml")):
        raise InputError(
            f"--config-dir={folder} holds neither a package with conf/ nor choices such as "
            "backbone/NAME.yaml; give the folder that `merec new backbone NAME` writes, or one like it"
        )
    modules = {package.name for package in packages} | {file.stem for file in folder.glob("*.py")}
    return [Plugin(tuple(sorted(modules - _TAKEN)), folder)]


@cache
def _find_plugins(folders: tuple[Path, ...], path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """Find plug-ins; the result depends on `path`, Python's search path."""
    plugins = [plugin for folder in folders for plugin in _open_folder(folder)]
    names = {name for plugin in plugins for name in plugin.modules}
    for name in sorted(_list_installed() - names):
        if places := _locate_package(name):
            confs = [place / "conf" for place in places if (place / "conf").is_dir()]
            plugins.append(Plugin((name,), confs[0] if confs else None))
    return tuple(plugins)


def _list_installed() -> set[str]:
    from importlib.metadata import entry_points

    entries = entry_points(group=GROUP)
    return {entry.value.partition(":")[0].partition(".")[0] for entry in entries} - _TAKEN


def _locate_package(name: str) -> list[Path]:
    """Return the folders of a top-level package; empty if it does not exist."""
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return []
    return [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
