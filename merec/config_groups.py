"""Config groups and their choices: the files in the `conf/` folders of merec and of plug-ins."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from merec.errors import InputError
from merec.override_errors import describe_choices
from merec.plugins import list_conf_folders

_STUDIES = "experiments"  # which lie beside merec's conf/ and in those of plug-ins


class PluginSearchPath(SearchPathPlugin):
    """Hydra plug-in for the choices of plug-ins, and for default recipes of backbones without a recipe."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append each `conf/` of a plug-in to the search path.

        Raises:
            InputError: If two of them define one choice.
        """
        for folder in _list_roots()[1:]:
            search_path.append(provider="merec.plugins", path=f"file://{folder}")
        recipes = list_choices("recipe")
        for name in list_choices("backbone"):
            if name not in recipes:
                default = OmegaConf.load(home() / "conf/recipe/default.yaml")
                ConfigStore.instance().store(
                    group="recipe", name=name, node=default, package="_global_"
                )


def home() -> Path:
    """Return the folder that holds `conf/` and `experiments/`: the checkout, or the installed package."""
    package = Path(__file__).parent
    for folder in (package.parent, package):
        if (folder / "conf/config.yaml").is_file():
            return folder
    raise InputError(
        f"conf/config.yaml is neither in {package.parent} nor in {package}; reinstall merec"
    )


def list_groups() -> dict[str, list[str]]:
    """Return the choices of each group, by name of the group."""
    groups = {place.name for root in _list_roots() for place in root.iterdir() if place.is_dir()}
    groups |= {f"hydra/{place.name}" for root in _list_roots() for place in root.glob("hydra/*")}
    return {
        group: sorted(
            file.relative_to(folder).with_suffix("").as_posix()
            for folder in _list_folders(group)
            for file in folder.rglob("[!_]*.yaml")
        )
        for group in sorted((groups | {_STUDIES}) - {"hydra"})
    }


def list_choices(group: str) -> list[str]:
    """Return the names that `group=NAME` takes: the files of each conf/GROUP."""
    return sorted(
        file.stem for folder in _list_folders(group) for file in folder.glob("[!_]*.yaml")
    )


def check_choices(arguments: Sequence[str]) -> None:
    """Refuse unknown choices of config groups, for all jobs of a multirun.

    Raises:
        InputError: If so; the message suggests the most similar name.
    """
    if any(text.startswith("hydra.searchpath") for text in arguments):
        return  # there may be choices elsewhere
    for text in arguments:
        group, equals, value = text.lstrip("+").partition("=")
        folders = list(_list_folders(group)) if equals and group.isidentifier() else []
        if not folders or not re.fullmatch(r"[\w,/.-]*", value):
            continue
        for name in value.split(","):
            outside = ".." in name.split("/") or name.startswith("/")
            there = any((folder / f"{name}.yaml").is_file() for folder in folders)
            if name == "null" or outside or not there:
                raise InputError(describe_choices(group, name, list_choices(group)))


def _list_roots() -> list[Path]:
    """Return merec's `conf/`, then those of plug-ins.

    Raises:
        InputError: If two of them define one choice.
    """
    roots = (home() / "conf", *list_conf_folders())
    _refuse_namesakes(roots)
    return list(roots)


def _list_folders(group: str) -> Iterator[Path]:
    """Return the existing folders of a group; the studies of merec are next to its `conf/`."""
    merec_root, *other_roots = _list_roots()
    for root in (merec_root.parent if group == _STUDIES else merec_root, *other_roots):
        if (root / group).is_dir():
            yield root / group


@cache
def _refuse_namesakes(roots: tuple[Path, ...]) -> None:
    """Refuse a choice that two folders define, since only one would be read.

    Raises:
        InputError: If so; the message names both files.
    """
    merec_root, *other_roots = roots
    files = {
        name: merec_root.parent / name for name in _list_files(merec_root.parent, f"{_STUDIES}/")
    }
    files |= {name: merec_root / name for name in _list_files(merec_root)}
    for root in other_roots:
        for name in _list_files(root):
            if name in files:
                group, _, choice = name.removesuffix(".yaml").rpartition("/")
                raise InputError(
                    f"{group}={choice} is defined by {files[name]} and by {root / name}; rename one of "
                    "the two files, or leave out one of the plug-ins"
                )
            files[name] = root / name


def _list_files(root: Path, below: str = "") -> list[str]:
    return [file.relative_to(root).as_posix() for file in sorted(root.glob(f"{below}**/*.yaml"))]
