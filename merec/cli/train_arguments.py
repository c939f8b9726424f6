"""Checks of the arguments of `merec train`, and the keys that a multirun varies."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from merec.config_groups import check_choices
from merec.config_schema import NEEDED
from merec.errors import InputError
from merec.quoting import quote_texts

_KEPT = {  # that no run can do without
    f"~{key}" for key in ("seed", "name", "trainer.max_epochs", *NEEDED)
}


def check_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with text keys quoted for Hydra, and equal values in the same spelling.

    Raises:
        InputError: If an argument is neither override nor flag, has no effect, or names a choice that does
            not exist.
    """
    for name in (text.removeprefix("name=") for text in arguments if text.startswith("name=")):
        if "/" in name or "\\" in name or name in (".", ".."):
            raise InputError(
                f"name={name} is no name of one folder; leave out / and .. (hydra.run.dir sets the place)"
            )
    _refuse_arguments(arguments)
    _refuse_without_effect(arguments, is_multirun(arguments))
    check_choices(arguments)
    quoted = [_spell_alike(text) for text in quote_texts(arguments, is_multirun(arguments))]
    if {"-sc", "--shell-completion"} & {*quoted}:
        raise InputError(
            'completion is a verb of its own: eval "$(merec completion bash)", zsh or fish'
        )
    for flag in ("--cfg", "-c", "--info", "-i"):
        if is_multirun(quoted) and flag in quoted:
            raise InputError(f"{flag} is about one run; give it without -m, and each key one value")
    return quoted


def _spell_alike(argument: str) -> str:
    """Return an override in Hydra's spelling of multiruns, unless its value is text.

    Run folders are named by overrides: `lr=3e-3` becomes `lr=0.003`, so that one value has one folder.
    """
    with contextlib.suppress(HydraException):  # Hydra itself will say what is wrong
        override = OverridesParser.create().parse_override(argument)
        if not override.is_sweep_override() and isinstance(override.value(), int | float | list):
            return f"{override.get_key_element()}={override.get_value_element_as_str()}"
    return argument


def _refuse_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments that are neither overrides nor flags of Hydra.

    Raises:
        InputError: If so; the message names the argument.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{message}; overrides are KEY=VALUE, e.g. resume=force")

    parser.error = refuse  # type: ignore[method-assign, assignment]
    if "--version" in arguments:
        return
    for text in parser.parse_args(arguments).overrides:
        key = text.partition("=")[0].partition("@")[0]
        if key in _KEPT:
            raise InputError(
                f"{text} leaves a run without {key[1:]}; choose another by {key[1:]}=…"
            )
        if not key.lstrip("+~"):
            raise InputError(f"{text} has no key; overrides are KEY=VALUE, e.g. seed=3")
        if "=" not in text and not text.startswith("~"):
            raise InputError(
                f"{text} is no override; overrides are KEY=VALUE: give {text}=… or leave it out"
            )


def _refuse_without_effect(arguments: Sequence[str], several: bool) -> None:
    """Refuse folders and launchers that have no effect for a single run or for a multirun.

    Raises:
        InputError: If so; the message names the key that has an effect.
    """
    if any(text.lstrip("+").startswith("hydra.mode=") for text in arguments):
        return
    for text in arguments:
        key, _, value = text.lstrip("+").partition("=")
        if key in ("hydra.run.dir", "hydra.sweep.dir") and not value.strip("'\""):
            raise InputError(f"{key}= is empty; name a folder, or leave it out")
        if several and key == "hydra.run.dir":
            raise InputError(
                f"{text} has no effect with -m, where hydra.sweep.dir=… says the place"
            )
        if not several and key in ("hydra.sweep.dir", "hydra.sweep.subdir"):
            raise InputError(f"{text} takes effect with -m only; for one run give hydra.run.dir=…")
        launcher = key == "hydra/launcher" and value != "basic"
        if not several and (launcher or key.startswith("hydra.launcher.")):
            raise InputError(f"{text} takes effect with -m only; add -m, or leave it out")


def locate_note(arguments: Sequence[str]) -> Path:
    """Return the file in which Hydra stores the config of a sweep before it launches jobs."""
    given = [text.partition("=")[2] for text in arguments if text.startswith("hydra.sweep.dir=")]
    return Path((given or ["runs"])[-1].strip("'\"")) / "multirun.yaml"


def list_keys(overrides: Sequence[str]) -> list[str]:
    """Return the dotted keys that overrides set."""
    pairs = [text.partition("=") for text in overrides]
    return [key.lstrip("+") for key, equals, _ in pairs if equals and not key.startswith("~")]


def count_values(arguments: Sequence[str]) -> dict[str, int]:
    """Return the keys that a multirun varies, with their numbers of values.

    If a key has several overrides, the last one counts.
    """
    parser = OverridesParser.create()
    values: dict[str, int] = {}
    for text in arguments:
        with contextlib.suppress(HydraException, ValueError):
            override = parser.parse_override(text)
            values.pop(override.get_key_element(), None)
            if override.is_sweep_override():
                values[override.get_key_element()] = len(list(override.sweep_string_iterator()))
    return values


def is_multirun(arguments: Sequence[str]) -> bool:
    """Return whether the arguments request a multirun."""
    return bool({"-m", "--multirun"} & {*arguments})
