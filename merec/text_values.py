"""Check of config values against the types of constructors.

Finds names that YAML parsed as numbers or booleans, such as the sample id 006_006_1_2 (197002), and words
that are not allowed.
"""

import types
from collections.abc import Callable, Collection, Iterator, Mapping
from inspect import isclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_EXAMPLE = "YAML takes names such as 006_006_1_2, 1e3, no or on for numbers and booleans"


def find_misread_texts(target: Callable[..., Any], node: Mapping[str, Any], path: str) -> list[str]:
    """Find the values of a config node that contradict the annotations of its constructor.

    Texts, flags and `Literal` words are checked.

    Args:
        target: Target of the node.
        node: Keys and values of the node; interpolations are skipped.
        path: Dotted path of the node.

    Returns:
        One line for each wrong value, with its key and the remedy.
    """
    try:
        hints = get_type_hints(getattr(target, "__init__", None) if isclass(target) else target)
    except (
        NameError,
        TypeError,
        AttributeError,
    ):  # of a library whose annotations cannot be resolved
        return []
    lines: list[str] = []
    for key, value in node.items():
        if key in hints:
            lines += _find(value, hints[key], f"{path}.{key}")
    return lines


def _find(value: Any, hint: Any, path: str) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("${"):
        return
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        lines = [list(_find(value, argument, path)) for argument in arguments]
        complaints = [some for some in lines if some]
        fits = any(
            _is_kind(value, argument) and not some
            for argument, some in zip(arguments, lines, strict=True)
        )
        if complaints and not fits:
            words = " or ".join(
                dict.fromkeys(word for argument in arguments for word in _list_words(argument))
            )
            yield from [f"{path}={value}; expected {words}"] if words else complaints[0]
    elif hint is str:
        if isinstance(value, bool | int | float):
            yield f"{path} is {value}, which is no text: {_EXAMPLE}; put it in quotes"
    elif hint is bool or origin is Literal:
        allowed = (None, False, True) if hint is bool else arguments
        if isinstance(value, list | Mapping) or value not in allowed:
            yield f"{path}={value}; expected {' or '.join(_list_words(hint))}"
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        if isinstance(value, Mapping) and len(arguments) == 2:
            for key, entry in value.items():
                yield from _find(key, arguments[0], f"{path}, key {key}")
                yield from _find(entry, arguments[1], f"{path}.{key}")
    elif arguments[:1] == (str,) and isinstance(value, str | bool | int | float):
        yield f"{path} is {value}; expected a list of names: write {path}=[NAME,…]"
    elif arguments and isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _find(entry, arguments[0], f"{path}[{number}]")


def _list_words(hint: Any) -> list[str]:
    """List the words that an annotation allows; empty if it allows other values."""
    if hint is bool:
        return ["true", "false"]
    return [*dict.fromkeys(map(str, get_args(hint)))] if get_origin(hint) is Literal else []


def _is_kind(value: Any, hint: Any) -> bool:
    """Return whether the outer type of a value matches an annotation."""
    kind = get_origin(hint) or hint
    if kind is Literal:
        return not isinstance(value, list | Mapping) and value in get_args(hint)
    if kind is float:
        return isinstance(value, int | float)
    if isinstance(value, list):
        return isinstance(kind, type) and issubclass(kind, Collection) and kind is not str
    return kind is Any or (isinstance(kind, type) and isinstance(value, kind))
