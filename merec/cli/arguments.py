"""Parsing of the arguments of a verb: `KEY=VALUE`, overrides of the config, folders."""

from contextlib import suppress
from pathlib import Path

from merec.errors import InputError
from merec.path_names import check_path
from merec.ranges import Range


def split_overrides(
    verb: str, arguments: list[str], options: dict[str, str], groups: tuple[str, ...]
) -> tuple[dict[str, str], list[str]]:
    """Split arguments into options of a verb and overrides of config groups."""
    overrides = []
    _refuse_twice(verb, arguments)
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in options:
            check_path(f"{key}=", value)
            options[key] = expand_home(value)
        elif equals and key.lstrip("+~").partition(".")[0] in groups:
            overrides.append(argument)
        else:
            from difflib import get_close_matches

            takes = [*groups, *options]
            near = get_close_matches(key.partition(".")[0], takes, n=1)
            hint = f"did you mean {near[0]}=?" if near else f"it takes {'=, '.join(takes)}="
            if not equals and not argument.startswith("-") and not near:
                hint = f"it takes KEY=VALUE, e.g. {takes[0]}={argument}"
            raise InputError(f"merec {verb} does not know {argument}; {hint}")
    return options, overrides


def _refuse_twice(verb: str, arguments: list[str]) -> None:
    """Refuse a key that is given twice, since one value would be ignored."""
    given: dict[str, str] = {}
    for argument in arguments:
        key, equals, _ = argument.partition("=")
        if equals and key in given:
            raise InputError(
                f"merec {verb}: {key}= is given twice, as {given[key]} and {argument}; leave out one of the "
                "two"
            )
        given[key] = argument


def expand_home(value: str) -> str:
    """Replace a leading `~` by the home folder, since shells do not do so after `=`."""
    return str(Path(value).expanduser()) if value.startswith("~") else value


def read_flag(verb: str, key: str, value: str) -> bool:
    """Parse `true` or `false`."""
    if value.lower() not in ("true", "false"):
        raise InputError(f"merec {verb}: {key}={value} is not understood; it is true or false")
    return value.lower() == "true"


def read_jobs(verb: str, value: str) -> int:
    """Parse a number of processes, or -1 for one per core."""
    if not value.lstrip("-").isdecimal() or int(value) == 0 or int(value) < -1:
        raise InputError(
            f"merec {verb}: jobs={value} is not understood; it is a number of processes, or -1 for "
            "one per core"
        )
    return int(value)


def read_number(verb: str, key: str, value: str, expected: Range) -> float:
    """Parse a number within a range."""
    with suppress(ValueError):
        if expected.holds(number := float(value)):
            return number
    raise InputError(f"merec {verb}: {key}={value} is not understood; it is {expected.describe()}")


def read_plugins(value: str) -> list[str]:
    """Parse comma-separated names of importable modules or packages."""
    from importlib.util import find_spec

    plugins = [name for name in value.split(",") if name]
    for name in plugins:
        top = name.partition(".")[0]
        if not top.isidentifier() or find_spec(top) is None:
            raise InputError(
                f"plugins={name}: there is no module {top or 'without a name'}; give names that Python can "
                "import (PYTHONPATH says from where)"
            )
    return plugins


def split_paths(
    arguments: list[str], defaults: dict[str, str], verb: str
) -> tuple[list[Path], dict[str, str]]:
    """Split arguments into folders and `key=value` options."""
    options = dict(defaults)
    paths = []
    _refuse_twice(verb, [text for text in arguments if text.partition("=")[0] in defaults])
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in defaults:
            check_path(f"{key}=", value)
            options[key] = expand_home(value)
        elif argument.startswith("-") or (equals and not Path(argument).exists()):
            takes = ", ".join(f"{name}=" for name in defaults) or "folders only"
            raise InputError(f"merec {verb} does not know {argument}; it takes {takes}")
        else:
            check_path("", argument)
            paths.append(Path(argument).expanduser())
    return paths, options
