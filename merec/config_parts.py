"""Parts: dataclasses of settings whose keys are in the config node of the class that takes them.

`task.pretrain=macro` is a key of the task, and a field of the part `pretraining` of that task. So keys stay
short, and no class has dozens of fields.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any


class Part:
    """Base of a dataclass that is an argument of a class and is built from keys of this class's node."""


def list_parts(target: Callable[..., Any]) -> dict[str, type[Part]]:
    """Return the parameters of a constructor that are parts, by name."""
    return {
        name: parameter.annotation
        for name, parameter in inspect.signature(target).parameters.items()
        if inspect.isclass(parameter.annotation) and issubclass(parameter.annotation, Part)
    }


def list_all_parts(target: Callable[..., Any]) -> list[type[Part]]:
    """Return the parts of a constructor, recursively."""
    return [
        nested for part in list_parts(target).values() for nested in (part, *list_all_parts(part))
    ]


def list_parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a constructor by config key; a part is replaced by its parameters."""
    parts = list_parts(target)
    parameters: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(target).parameters.items():
        parameters |= list_parameters(parts[name]) if name in parts else {name: parameter}
    return parameters


def assemble(target: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """Call a constructor with settings by config key; parts are built from their keys."""
    rest = dict(settings)
    parts = {
        name: assemble(part, {key: rest.pop(key) for key in list_parameters(part) if key in rest})
        for name, part in list_parts(target).items()
    }
    return target(**parts, **rest)
